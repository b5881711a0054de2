"""Volumes: a data set of scans and label maps, and one box on each object's middle slice."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from masklet.datasets.registry import open_dataset, recognise_dataset
from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError
from masklet.evaluation.methods import ModelMethod
from masklet.evaluation.run import Submission
from masklet.evaluation.videos import Turned, Volumes
from masklet.formats.davis import read_index_png
from masklet.media.volume import VolumeSlices
from masklet.video.ends import outside
from tests.evaluation.conftest import first_clip

SHAPE = (40, 36, 14)
AFFINE = np.diag([1.0, 1.0, 2.5, 1.0])


def ball(middle: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return (((places - middle) / radii) ** 2).sum(axis=-1) <= 1


ORGAN, OTHER, BEHIND = ball((14, 16, 6), (9, 8, 4)), ball((31, 24, 8), (6, 7, 5)), ball((14, 16, 12), (8, 7, 1.6))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_volumes(tmp_path)


def make_volumes(root: Path) -> Path:
    """A scan with two organs; behind the first lies a thing of another grey."""
    scan = np.zeros(SHAPE, np.int16)
    scan[BEHIND], scan[OTHER], scan[ORGAN] = 190, 110, 230
    scan += np.random.default_rng(0).integers(0, 8, SHAPE).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[ORGAN], labels[OTHER] = 1, 2
    for folder, name, values in (("images", "a_0000", scan), ("labels", "a", labels)):
        (root / folder).mkdir()
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), root / folder / f"{name}.nii.gz")
    return root


def test_clips_are_scans_with_the_masks_of_their_labels(root: Path) -> None:
    clip = first_clip("volumes", root)
    assert (clip.name, len(clip.annotated)) == ("a", 14)
    assert recognise_dataset(root).help.startswith("volumes")
    found = clip.masks(6)
    np.testing.assert_array_equal(found[1], ORGAN[..., 6].T)
    np.testing.assert_array_equal(found[2], OTHER[..., 6].T)
    with clip.open() as source:
        assert source.size == found.size


def test_organs_are_followed_both_ways_and_ends_help(root: Path, tmp_path: Path) -> None:
    clip = first_clip("volumes", root)
    method = ModelMethod(FakeEngine())
    plain, ended = (
        Volumes(find_ends=ends).run(clip, method, Submission(tmp_path / str(ends), "index")) for ends in (False, True)
    )
    assert set(plain.values) == {1, 2}
    assert plain.values[2]["Dice"] > 0.7
    assert 0 <= plain.values[1]["NSD"] <= 1
    assert ended.values[1]["Dice"] >= plain.values[1]["Dice"]
    assert (tmp_path / "True/a/00013.png").exists()


def test_the_other_order_of_slices(root: Path) -> None:
    source = VolumeSlices(root / "images/a_0000.nii.gz")
    np.testing.assert_array_equal(Turned(source).read(3).image, source.read(10).image)


def test_labels_of_another_grid_and_without_a_scan(root: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)), root / "labels/a.nii.gz")
    clip = first_clip("volumes", root)
    with pytest.raises(FormatError, match=r"a\.nii\.gz does not lie in the grid of a_0000\.nii\.gz; resample"):
        clip.masks(0)
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)), root / "labels/b.nii.gz")
    with pytest.raises(FormatError, match="has no volume of its name"):
        open_dataset("volumes", root)
    with pytest.raises(FormatError, match="holds no labels; expected images/NAME"):
        open_dataset("volumes", root / "images")


def test_ends_are_where_the_values_or_the_certainty_change() -> None:
    values = dict.fromkeys(range(10), 100.0) | {8: 140.0, 9: 140.0}
    iou = dict.fromkeys(range(10), 0.9) | {1: 0.3}

    def inside(frame: int) -> np.ndarray:
        return values[frame] + np.linspace(-10, 10, 21, dtype=np.float32)

    assert list(outside([5], range(10), inside, iou.__getitem__)) == [(0, 1), (8, 9)]
    assert list(outside([0, 5], range(10), inside, iou.__getitem__)) == [(1, 1), (8, 9)]
    assert list(outside([5, 9], range(10), inside, iou.__getitem__)) == [(0, 1)]
    assert list(outside([], range(10), inside, iou.__getitem__)) == []


def test_where_masks_of_both_ways_overlap_one_object_has_the_pixel(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slice 7 lies after the middle of the first organ and before that of the second."""
    clip = first_clip("volumes", root)
    masks = {number: np.ones(SHAPE[1::-1], bool) for number in (1, 2)}
    objects = {number: SimpleNamespace(iou=1.0) for number in (1, 2)}
    found = [SimpleNamespace(masks=masks, result=SimpleNamespace(frame=n, objects=objects)) for n in range(SHAPE[2])]
    monkeypatch.setattr("masklet.evaluation.videos.follow_slices", lambda *_: found)
    Volumes().run(clip, ModelMethod(FakeEngine()), Submission(tmp_path / "out", "index"))
    assert set(np.unique(read_index_png(tmp_path / "out/a/00007.png"))) <= {1, 2}


def test_the_middle_slice_has_the_object(root: Path, tmp_path: Path) -> None:
    """An object in two parts, with nothing on the slices between."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:20, 10:22, 1:3], labels[8:20, 10:22, 11:13] = 1, 1
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), root / "labels/a.nii.gz")
    clip = first_clip("volumes", root)
    outcome = Volumes().run(clip, ModelMethod(FakeEngine()), Submission(tmp_path / "out", "index"))
    assert outcome.per_frame[2] > 0.7, "the box is drawn on slice 2"
