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
from masklet.formats.davis import read_index_png, write_index_png
from masklet.masks.draw import PALETTE


@given(npst.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_what_is_read_equals_what_was_written(index_map: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "00003.png"
        write_index_png(path, index_map)
        np.testing.assert_array_equal(read_index_png(path), index_map)


def test_numbers_that_are_too_high_are_unknown(tmp_path: Path) -> None:
    """LVIS and SA-1B have pictures of more objects than a byte counts."""
    write_index_png(tmp_path / "a.png", np.array([[0, 254, 255, 256, 300]], np.int32))
    np.testing.assert_array_equal(read_index_png(tmp_path / "a.png"), [[0, 254, 255, 255, 255]])


def test_other_tools_see_the_palette(tmp_path: Path) -> None:
    index_map = np.array([[0, 1], [2, 255]], np.uint8)
    path = tmp_path / "00000.png"
    write_index_png(path, index_map)
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
