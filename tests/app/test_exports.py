"""Files that the annotator makes and takes: what a writer is told of the video is what the tracker knows of it."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from masklet.app import files
from masklet.app.files import export, import_masks, places
from masklet.app.keeping import Kept
from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError
from masklet.formats.davis import read_index_png
from masklet.formats.description import Description
from masklet.video import TrackingOptions, VideoTracker
from tests.app.conftest import SIZE, write_scene
from tests.media.test_volume import AFFINE, inside, scan


def test_a_label_map_lies_in_the_grid_of_its_scan(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), path)
    with VideoTracker(path, FakeEngine()) as tracker:
        for frame in (7, 8):
            tracker.add_mask(frame=frame, object="liver", mask=inside()[..., frame].T)
        *_, last = export(tracker, path, tmp_path / "exports", "nifti", first=8)
    found = nibabel.load(tmp_path / "exports" / last["file"])
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-4)
    labels = np.asarray(found.dataobj)
    np.testing.assert_array_equal(labels[..., 8], inside()[..., 8])
    assert not labels[..., :8].any()


def test_a_zip_that_is_none_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "masks.zip"
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FormatError, match=r"masks\.zip cannot be unpacked"), places(path):
        pass
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("../../outside.txt", "x" * 100)
    with pytest.raises(FormatError, match="holds no masks"), places(path):
        pass
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["masks.zip"]
    assert not (tmp_path.parent / "outside.txt").exists()
    monkeypatch.setattr(files, "UNPACKED", 99)
    with pytest.raises(FormatError, match="unpacks to 100 bytes in 1 files"), places(path):
        pass


def test_changes_after_a_project_was_exported_outlive_a_kill(tmp_path: Path) -> None:
    clip, folder = write_scene(tmp_path / "clip.mp4", 4), tmp_path / "session"
    kept = Kept(clip, folder, FakeEngine())
    kept.tracker.add_points(frame=0, object=1, points=[(22, 32)])
    kept.keep("first")
    *_, last = export(kept.tracker, clip, folder / "exports", "project")
    kept.tracker.add_points(frame=1, object=2, points=[(22, 32)])
    kept.keep("second")
    with VideoTracker.open(folder / "session.masklet", clip, FakeEngine()) as again:  # as after a kill
        assert list(again.tracks) == [1, 2]
    with VideoTracker.open(folder / "exports" / last["file"], clip, FakeEngine()) as exported:
        assert list(exported.tracks) == [1]
    kept.tracker.close()


def test_what_a_file_says_of_objects_is_taken_over_and_no_more(tmp_path: Path) -> None:
    clip, mask = write_scene(tmp_path / "clip.mp4", 2), np.zeros(SIZE, np.bool_)
    mask[3:9, 3:9] = True
    with VideoTracker(clip, FakeEngine()) as other:
        for name, said in {1: {"category": "car"}, "dog": {"colour": "#00ff00"}}.items():
            other.add_mask(frame=0, object=name, mask=mask)
            other.describe(name, **said)
        other.save(tmp_path / "other.masklet")
    with VideoTracker(clip, FakeEngine()) as tracker:
        tracker.describe(1, title="cup", colour="#ff0000")
        assert [step and step["done"] for step in import_masks(tracker, tmp_path / "other.masklet", 0, None)] == [2]
        assert tracker.objects == {1: Description("cup", "car", "#ff0000"), "dog": Description(colour="#00ff00")}


def test_no_module_is_imported_for_a_page(tmp_path: Path) -> None:
    with VideoTracker([np.zeros((8, 9, 3), np.uint8)], FakeEngine()) as tracker:
        tracker.add_mask(frame=0, object=1, mask=np.ones((8, 9), bool))
        with pytest.raises(FormatError, match="is no name of a format"):
            next(export(tracker, tmp_path / "a.mp4", tmp_path, "this:s"))
    assert "this" not in sys.modules


@pytest.mark.parametrize("first", ["shot-{}", "{:05d}"])
@pytest.mark.parametrize("name", ["davis", "objects", "labelme", "coco"])
def test_masks_of_some_pictures_come_back_to_these(tmp_path: Path, name: str, first: str) -> None:
    folder, mask = tmp_path / "walk", np.zeros((24, 32), np.bool_)
    mask[3:9, 3:9] = True
    folder.mkdir()
    for number in range(7, 11):
        Image.new("RGB", (32, 24)).save(folder / f"{first.format(number)}.jpg")
    with VideoTracker(folder, FakeEngine()) as tracker:
        for frame in (1, 2):
            tracker.add_mask(frame=frame, object=1, mask=mask)
        *_, last = export(tracker, folder, tmp_path / "exports", name)
    with VideoTracker(folder, FakeEngine()) as tracker:
        list(import_masks(tracker, tmp_path / "exports" / last["file"], 0, None))
        assert [sorted(track.prompts) for track in tracker.tracks.values()][:1] == [[1, 2]]


@pytest.mark.parametrize("non_overlapping", [False, True])
def test_index_maps_of_some_objects_have_no_others(tmp_path: Path, non_overlapping: bool) -> None:
    clip, options = write_scene(tmp_path / "clip.mp4", 2), TrackingOptions(non_overlapping=non_overlapping)
    one, two = np.zeros(SIZE, np.bool_), np.zeros(SIZE, np.bool_)
    one[:20, :20], two[10:30, 10:40] = True, True
    with VideoTracker(clip, FakeEngine(), options=options) as tracker:
        tracker.add_mask(frame=0, object=1, mask=one)
        result = tracker.add_mask(frame=0, object=2, mask=two)
        assert np.unique(result.index_map()).tolist() == [0, 1, 2]
        *_, last = export(tracker, clip, tmp_path / "exports", "davis", objects=[1])
    with zipfile.ZipFile(tmp_path / "exports" / last["file"]) as members:
        members.extractall(tmp_path / "unpacked")
    (file,) = (tmp_path / "unpacked").rglob("*.png")
    np.testing.assert_array_equal(read_index_png(file), result.objects[1].mask.astype(np.uint8))


@pytest.mark.parametrize("name", ["davis", "coco", "labelme", "project"])
def test_masks_of_a_picture_come_back_to_it(tmp_path: Path, name: str) -> None:
    path, mask = tmp_path / "photo.png", np.zeros((24, 32), np.bool_)
    mask[3:9, 3:9] = True
    Image.new("RGB", (32, 24)).save(path)
    with VideoTracker(path, FakeEngine()) as tracker:
        tracker.add_mask(frame=0, object=2, mask=mask)
        *_, last = export(tracker, path, tmp_path / "exports", name, picture=True)
    with VideoTracker(path, FakeEngine()) as tracker:
        list(import_masks(tracker, tmp_path / "exports" / last["file"], 0, None))
        (track,) = tracker.tracks.values()
        np.testing.assert_array_equal(track.prompts[0].mask, mask)
