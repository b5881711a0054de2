"""Large pictures: windows of a file are the same pixels as the whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import MediaError
from masklet.media.image_file import read_image
from masklet.media.large import LargePicture

rasterio = pytest.importorskip("rasterio", reason="needs rasterio: pip install 'masklet[geo]'")


def write_tiff(path: Path, bands: NDArray[np.generic]) -> Path:
    """A tiled GeoTIFF of bands (C, H, W)."""
    count, height, width = bands.shape
    settings = {"driver": "GTiff", "tiled": True, "blockxsize": 32, "blockysize": 32, "dtype": bands.dtype.name}
    place = rasterio.transform.from_origin(10, 50, 0.1, 0.1)
    with rasterio.open(path, "w", height=height, width=width, count=count, transform=place, **settings) as file:
        file.write(bands)
    return path


COLORS = np.random.default_rng(0).integers(0, 256, (4, 70, 90), dtype=np.uint8)


def test_a_window_is_a_part_of_the_picture(tmp_path: Path) -> None:
    with LargePicture(write_tiff(tmp_path / "a.tif", COLORS)) as picture:
        assert picture.size == (70, 90)
        expected = COLORS[:3, 20:60, 5:80].transpose(1, 2, 0)  # the fourth band is no colour
        assert (picture.read((5, 20, 80, 60)) == expected).all()


def test_grey_becomes_rgb_and_the_upper_bits_of_sixteen_count(tmp_path: Path) -> None:
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64) * 16
    with LargePicture(write_tiff(tmp_path / "a.tif", deep)) as picture:
        window = picture.read((0, 0, 64, 64))
    assert window.shape == (64, 64, 3)
    assert window.dtype == np.uint8
    assert (window == (deep[0] >> 8)[..., None]).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photograph_is_upright(turn: int, tmp_path: Path) -> None:
    exif, path = Image.Exif(), tmp_path / "a.jpg"
    exif[274] = turn
    grey = np.random.default_rng(0).integers(0, 256, (4, 6), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(grey).save(path, exif=exif)
    whole = read_image(path)
    with LargePicture(path) as picture:
        assert picture.size == whole.shape[:2]
        np.testing.assert_array_equal(picture.read((3, 1, 20, 31)), whole[1:31, 3:20])


@pytest.mark.parametrize("mode", ["P", "1"])
def test_a_palette_becomes_its_colours(mode: Literal["P", "1"], tmp_path: Path) -> None:
    """As scanned maps have them: as pictures that are read as a whole, and where colours are mixed."""
    blocks = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    path = tmp_path / "a map & its colours.tif"
    Image.fromarray(blocks).convert(mode).save(path)
    with LargePicture(path) as picture:
        np.testing.assert_array_equal(picture.read((3, 1, 48, 32)), read_image(path)[1:, 3:])
    with LargePicture(path, levels=(0, 255)) as picture, Image.open(path) as numbers:  # levels are for the numbers
        np.testing.assert_array_equal(picture.read((0, 0, 48, 32))[..., 1], np.asarray(numbers))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="there is no file"):
        LargePicture(tmp_path / "gone.tif")
    (tmp_path / "notes.tif").write_text("no picture")
    with pytest.raises(MediaError, match=r"notes\.tif is not a picture that can be read in windows"):
        LargePicture(tmp_path / "notes.tif")
    floats = write_tiff(tmp_path / "floats.tif", np.zeros((1, 32, 32), np.float32))
    with pytest.raises(
        MediaError, match=r"floats\.tif holds values of type float32; give levels, those that are black"
    ):
        LargePicture(floats)
    with LargePicture(floats, levels=(-1, 1)) as picture:
        assert (picture.read((0, 0, 9, 9)) == 128).all()
    whole = write_tiff(tmp_path / "a.tif", COLORS)
    with (
        LargePicture(whole) as picture,
        pytest.raises(MediaError, match=r"does not lie in a\.tif, 90 wide and 70 high"),
    ):
        picture.read((0, 0, 91, 70))


def test_without_rasterio_the_sentence_names_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(MediaError, match=r"pip install 'masklet\[geo\]'"):
        LargePicture("a.tif")
