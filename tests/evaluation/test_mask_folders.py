from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masklet.datasets.frame_folders import first_names, read_names
from masklet.errors import EvaluationError, FormatError
from masklet.evaluation.scoring import find_sequences, frame_ranges, pair_folders
from masklet.formats.davis import write_index_png


def write(folder: Path, frames: range | list[int]) -> None:
    folder.mkdir(parents=True)
    for frame in frames:
        write_index_png(folder / f"{frame:05d}.png", np.ones((4, 6), np.uint8))


def test_layouts(tmp_path: Path) -> None:
    write(tmp_path / "davis/dog", range(3))
    write(tmp_path / "sav/dog/000", [0, 4])
    write(tmp_path / "sav/dog/001", [4, 8])
    davis, sav = find_sequences(tmp_path / "davis")["dog"], find_sequences(tmp_path / "sav")["dog"]
    assert davis.is_index
    assert not sav.is_index
    assert davis.frames == (0, 1, 2)
    assert sav.frames == (0, 4, 8)
    assert list(sav.files) == [0, 1]
    assert list(find_sequences(tmp_path / "davis/dog")) == ["."]


def test_pairs_by_name(tmp_path: Path) -> None:
    for name in ("cat", "dog", "hat"):
        write(tmp_path / "gt" / name, range(3))
    for name in ("ant", "cat", "dog"):
        write(tmp_path / "pred" / name, range(5))
    pairs, extra = pair_folders(tmp_path / "pred", tmp_path / "gt", ["cat"])
    assert [pair.name for pair in pairs] == ["cat"]
    assert extra == ("ant", "dog")
    with pytest.raises(EvaluationError, match=r"lacks 1 of the sequences: hat\. Each is in the truth, and was not"):
        pair_folders(tmp_path / "pred", tmp_path / "gt")
    with pytest.raises(EvaluationError, match=r"gt lacks 1 of the sequences: cow\. Each is in the list"):
        pair_folders(tmp_path / "pred", tmp_path / "gt", ["cow", "cat"])


def test_missing_frames_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "gt/dog", range(12))
    write(tmp_path / "pred/dog", [0, 1, 2, 4, 5, 6, 11, 20])
    with pytest.raises(EvaluationError, match=r"pred/dog lacks 5 of 12 frames: 3, 7 to 10; predict them"):
        pair_folders(tmp_path / "pred", tmp_path / "gt")


def test_missing_frames_of_an_object_are_listed(tmp_path: Path) -> None:
    for name, frames in (("gt/dog/0", range(6)), ("gt/dog/1", range(6)), ("pred/dog/0", range(6))):
        write(tmp_path / name, frames)
    pair_folders(tmp_path / "pred", tmp_path / "gt")  # an object that was never predicted is empty
    write(tmp_path / "pred/dog/1", [0, 1, 5])
    with pytest.raises(EvaluationError, match=r"object 1 in .*dog lacks 3 of its frames: 2 to 4; predict"):
        pair_folders(tmp_path / "pred", tmp_path / "gt")


def test_folders_without_masks(tmp_path: Path) -> None:
    (tmp_path / "empty/dog").mkdir(parents=True)
    with pytest.raises(EvaluationError, match=r"empty holds no masks; expected SEQUENCE/00000\.png, or SEQUENCE/OBJ"):
        find_sequences(tmp_path / "empty")
    with pytest.raises(EvaluationError, match=r"there is no folder .*gone"):
        find_sequences(tmp_path / "gone")


def test_unequal_layouts(tmp_path: Path) -> None:
    write(tmp_path / "gt/dog/000", range(3))
    write(tmp_path / "pred/dog", range(3))
    with pytest.raises(EvaluationError, match="differ in layout: one has a PNG for each frame"):
        pair_folders(tmp_path / "pred", tmp_path / "gt")


def test_lists(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_bytes(b"\xef\xbb\xbfdog\r\n\r\n cat \r\ndog\r\n")  # as Notepad writes it
    (tmp_path / "none.txt").write_text("\n")
    assert read_names(tmp_path / "val.txt") == ["dog", "cat"]
    with pytest.raises(FormatError, match="is empty; give a text file"):
        read_names(tmp_path / "none.txt")
    with pytest.raises(FormatError, match="cannot be read"):
        read_names(tmp_path / "gone.txt")
    assert first_names(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert frame_ranges([5, 1, 2, 3]) == "1 to 3, 5"
