from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from masklet.errors import FormatError
from masklet.formats.davis import IndexPngWriter, read_index_png
from masklet.masks.palette import PALETTE


@given(npst.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_what_is_read_equals_what_was_written(index_map: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder, IndexPngWriter(folder, index_map.shape) as writer:
        path = writer.write(3, index_map)
        assert path.name == "00003.png"
        np.testing.assert_array_equal(read_index_png(path), index_map)


def test_other_tools_see_the_palette(tmp_path: Path) -> None:
    index_map = np.array([[0, 1], [2, 255]], np.uint8)
    with IndexPngWriter(tmp_path / "new" / "folder", (2, 2)) as writer:
        path = writer.write(0, index_map)
    with Image.open(path) as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.array(picture.convert("RGB")), PALETTE[index_map])
    assert [file.name for file in path.parent.iterdir()] == ["00000.png"]


def test_grey_png_holds_indices_too(tmp_path: Path) -> None:
    index_map = np.array([[0, 7], [9, 255]], np.uint8)
    Image.fromarray(index_map).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_index_png(tmp_path / "grey.png"), index_map)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_colours_are_no_indices(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (2, 2)).save(tmp_path / "mask.png")
    with pytest.raises(FormatError, match=rf"mask\.png is a picture of the kind {mode}; .* a palette PNG or a grey"):
        read_index_png(tmp_path / "mask.png")


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"there is no file at .*gone\.png"):
        read_index_png(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(FormatError, match=r"text\.png cannot be read as a PNG"):
        read_index_png(tmp_path / "text.png")


def test_another_size_or_type_is_named(tmp_path: Path) -> None:
    writer = IndexPngWriter(tmp_path, (4, 6))
    with pytest.raises(FormatError, match=r"frame 5 is uint8 \(6, 4\); give uint8 .*\(4, 6\)"):
        writer.write(5, np.zeros((6, 4), np.uint8))
    with pytest.raises(FormatError, match=r"frame 5 is uint16 .* up to 255 objects"):
        writer.write(5, np.zeros((4, 6), np.uint16))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(FormatError, match=r"taken cannot be written: .*; give a path"):
        IndexPngWriter(tmp_path / "taken", (4, 6))


def test_a_folder_that_went_away_is_named(tmp_path: Path) -> None:
    writer = IndexPngWriter(tmp_path / "masks", (4, 6))
    (tmp_path / "masks").rmdir()
    with pytest.raises(FormatError, match=r"00001\.png cannot be written: No such file"):
        writer.write(1, np.zeros((4, 6), np.uint8))
