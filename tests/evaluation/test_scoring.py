from __future__ import annotations

import csv
import json
from dataclasses import astuple
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.errors import EvaluationError, FormatError
from masklet.evaluation.scoring import (
    FRAMES_AT_A_TIME,
    measure_frames,
    pair_folders,
    score_folders,
    split_scores,
    write_scores_csv,
    write_scores_json,
)
from masklet.formats.davis import write_index_png
from masklet.metrics.sequence import find_protocol, join_measures, score_sequence
from tests.conftest import GOLDEN

NAMES = ("one_pixel", "odd_size_20_frames", "third_object_appears_late_clean", "touching_border_full_frame")


def write(folder: Path, maps: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for frame, index_map in enumerate(maps):
        write_index_png(folder / f"{frame:05d}.png", index_map)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FOLDER/pred and FOLDER/gt with recorded sequences."""
    folder = tmp_path_factory.mktemp("masks")
    with np.load(GOLDEN / "jf.npz") as arrays:
        for name in NAMES:
            predicted, truth = arrays[name]
            write(folder / "pred" / name, predicted)
            write(folder / "gt" / name, truth)
    return folder


@pytest.mark.parametrize("protocol", ["davis2017", "sav", "mosev2"])
def test_files_score_as_arrays_do(folder: Path, protocol: str) -> None:
    scores = score_folders(folder / "pred", folder / "gt", protocol, workers=1)
    assert [sequence.name for sequence in scores.sequences] == sorted(NAMES)
    with np.load(GOLDEN / "jf.npz") as arrays:
        for sequence in scores.sequences:
            expected = score_sequence(*arrays[sequence.name], protocol)
            for ours, theirs in zip(sequence.objects, expected, strict=True):
                for one, other in zip(astuple(ours), astuple(theirs), strict=True):
                    np.testing.assert_array_equal(one, other)


def test_several_processes_score_as_one_does(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    several = score_folders(
        folder / "pred", folder / "gt", workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert several.overall.summary() == score_folders(folder / "pred", folder / "gt", workers=1).overall.summary()
    assert seen[-1] == (49, 49)
    assert several.protocol == "davis2017"


def test_merged_is_whole(folder: Path) -> None:
    (pair,), _ = pair_folders(folder / "pred", folder / "gt", ["odd_size_20_frames"])
    rules, frames = find_protocol("davis2017"), pair.truth.frames
    whole = measure_frames(rules, (pair, frames))
    parts = [measure_frames(rules, (pair, frames[cut])) for cut in (np.s_[:7], np.s_[7:])]
    np.testing.assert_array_equal(join_measures(parts).boundary, whole.boundary)
    assert FRAMES_AT_A_TIME > 1


def test_a_folder_for_each_object(folder: Path, tmp_path: Path) -> None:
    with np.load(GOLDEN / "jf.npz") as arrays:
        maps = dict(zip(("pred", "gt"), arrays[NAMES[2]], strict=True))
        expected = arrays[f"{NAMES[2]}/objects"][:, 6:]
    for side, stack in maps.items():
        for number in (1, 2, 3):
            target = tmp_path / side / "clip" / f"{number:03d}"
            target.mkdir(parents=True)
            for frame, index_map in enumerate(stack):
                Image.fromarray(index_map == number).save(target / f"{frame:05d}.png")
    scores = score_folders(tmp_path / "pred", tmp_path / "gt", workers=1)
    assert scores.protocol == "sav"
    ours = [[100 * item.region.mean(), 100 * item.boundary.mean()] for item in scores.sequences[0].objects]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)
    with pytest.raises(EvaluationError, match="the protocol davis2016 takes index PNGs"):
        score_folders(tmp_path / "pred", tmp_path / "gt", "davis2016", workers=1)


def test_frame_numbers_are_those_of_files(tmp_path: Path) -> None:
    for side in ("pred", "gt"):
        folder = tmp_path / side / "clip"
        folder.mkdir(parents=True)
        for frame in (0, 4, 8, 12):
            write_index_png(folder / f"{frame:05d}.png", np.ones((4, 5), np.uint8))
    (sequence,) = score_folders(tmp_path / "pred", tmp_path / "gt", workers=1).sequences
    assert sequence.objects[0].frames.tolist() == [4, 8]


def test_files_of_scores(folder: Path, tmp_path: Path) -> None:
    scores = score_folders(folder / "pred", folder / "gt", workers=1)
    write_scores_csv(scores, tmp_path / "scores.csv")
    write_scores_json(scores, tmp_path / "scores.json")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    objects = sum(len(sequence.objects) for sequence in scores.sequences)
    assert len(rows) == objects + len(NAMES) + 1
    assert float(rows[-1]["J&F"]) == scores.overall.summary().mean
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["protocol"] == "davis2017"
    assert content["overall"]["F recall"] == scores.overall.summary().boundary.recall
    first = content["sequences"]["one_pixel"]["objects"]["1"]
    assert first["frames"] == list(range(1, 9))
    assert np.mean(first["J"]) == first["J mean"]
    with pytest.raises(FormatError, match="cannot be written"):
        write_scores_csv(scores, tmp_path / "gone/scores.csv")


def test_g_of_youtube_vos(folder: Path, tmp_path: Path) -> None:
    def meta(name: str, categories: list[str]) -> Path:
        objects = {str(number): {"category": category} for number, category in enumerate(categories, 1)}
        (tmp_path / name).write_text(json.dumps({"videos": {NAMES[2]: {"objects": objects}}}))
        return tmp_path / name

    scores = score_folders(folder / "pred", folder / "gt", "ytvos", names=NAMES[2:3], workers=1)
    training = meta("train.json", ["dog", "cat"])
    found = split_scores(scores, meta("valid.json", ["cat", "yak", "dog"]), training)
    first, second, third = scores.sequences[0].objects
    assert found.region_unseen == second.region.mean()
    assert found.region_seen == pytest.approx((first.region.mean() + third.region.mean()) / 2)
    with pytest.raises(EvaluationError, match=r"says nothing of object 3 in third_object"):
        split_scores(scores, meta("short.json", ["cat", "yak"]), training)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(FormatError, match="lacks 'videos'"):
        split_scores(scores, tmp_path / "other.json", training)


# --- bad input -------------------------------------------------------------------------------------


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """PRED/clip and GT/clip, three frames of one object."""
    for side in ("pred", "gt"):
        write(tmp_path / side / "clip", np.ones((3, 8, 10), np.uint8))
    return tmp_path


def fails(clip: Path, sentence: str, protocol: str | None = None) -> None:
    with pytest.raises(EvaluationError, match=sentence):
        score_folders(clip / "pred", clip / "gt", protocol, workers=1)


def picture(fill: int, size: tuple[int, int] = (8, 10), dtype: type = np.uint8) -> bytes:
    """The bytes of a grey PNG filled with one value."""
    return encoded(Image.fromarray(np.full(size, fill, dtype)))


def encoded(image: Image.Image) -> bytes:
    image.save(file := BytesIO(), "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            picture(1, (4, 5)),
            r"is 4 x 5 pixels \(height x width\) and the truth 8 x 10; write masks of the truth's size",
        ),
        (encoded(Image.new("RGB", (10, 8))), r"is a picture of the kind RGB; a mask is a palette PNG"),
        (picture(1)[:50], r"cannot be read as a PNG: .*give another copy"),
        (picture(255), r"holds the value 255, which stands for unknown .* from 1 to 254"),
        (picture(300, dtype=np.uint16), r"is a picture of the kind I;16; a mask is .* of 8 bits"),
    ],
)
def test_files_that_are_no_masks(clip: Path, data: bytes, sentence: str) -> None:
    (clip / "pred/clip/00001.png").write_bytes(data)
    fails(clip, r"00001\.png " + sentence)


def test_davis_2016_masks_are_0_and_255(clip: Path) -> None:
    for side in ("pred", "gt"):
        for file in (clip / side / "clip").iterdir():
            Image.fromarray(np.full((8, 10), 255, np.uint8)).save(file)
    assert score_folders(clip / "pred", clip / "gt", "davis2016", workers=1).overall.summary().mean == 1


def test_sequences_in_which_nothing_counts(clip: Path) -> None:
    (clip / "gt/clip/00002.png").unlink()
    fails(clip, "sequence clip: nothing counts by the protocol davis2017 among 2 frames")


def test_an_error_of_another_process_is_the_same(clip: Path) -> None:
    for side in ("pred", "gt"):
        write(clip / side / "second", np.ones((3, 8, 10), np.uint8))
    Image.new("RGB", (10, 8)).save(clip / "pred/second/00001.png")
    with pytest.raises(EvaluationError, match="kind RGB"):
        score_folders(clip / "pred", clip / "gt", workers=2)
