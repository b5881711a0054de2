from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.errors import MediaError
from masklet.media.image_file import read_image


def picture(height: int = 4, width: int = 6) -> np.ndarray:
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def test_rgb_is_read_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image, picture())
    assert image.dtype == np.uint8
    assert image.flags.writeable


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    Image.fromarray(picture()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), np.rot90(picture(), k=-1))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    Image.fromarray(picture()).convert("L").convert("RGB").convert(mode).save(tmp_path / f"a.{suffix}")
    assert read_image(tmp_path / f"a.{suffix}").shape == (4, 6, 3)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("depth.tif", r"depth\.tif has 32 bits.*8 or 16"),
        ("gone.png", r"there is no file at .*gone\.png"),
        ("", "there is no file at"),  # the folder
        ("notes.jpg", r"notes\.jpg is not a picture that can be read; give a file such as"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, name: str, sentence: str) -> None:
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "depth.tif")
    (tmp_path / "notes.jpg").write_text("hello")
    with pytest.raises(MediaError, match=sentence):
        read_image(tmp_path / name)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_cut_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match=rf"cut\.{suffix}.*(another copy|not a picture)"):
        read_image(path)
