"""Whatever a picture comes as, it is the same picture; what is none has its sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import MediaError
from masklet.image import ImagePredictor
from masklet.image.picture import as_picture, picture_tensor

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def pattern(height: int = 4, width: int = 6) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


ALIKE: dict[str, Any] = {
    "array": pattern(),
    "array with alpha": np.concatenate((pattern(), np.zeros((4, 6, 1), np.uint8)), axis=2),
    "array of 16 bits": pattern().astype(np.uint16) * 257,
    "float array": pattern() / 255,
    "float16 array": (pattern() / 255).astype(np.float16),
    "view": np.repeat(pattern(), 2, axis=1)[:, ::2],
    "tensor": torch.from_numpy(pattern()).permute(2, 0, 1),
    "float tensor": torch.from_numpy(pattern()).permute(2, 0, 1).float() / 255,
    "tensor that learns": (torch.from_numpy(pattern()).permute(2, 0, 1).float() / 255).requires_grad_(),
    "Pillow": Image.fromarray(pattern()),
    "Pillow with alpha": Image.fromarray(pattern()).convert("RGBA"),
}


@pytest.mark.parametrize("image", ALIKE.values(), ids=ALIKE)
def test_ways_to_give_a_picture(image: Any) -> None:
    picture = as_picture(image)
    np.testing.assert_array_equal(picture, pattern())
    assert picture.dtype == np.uint8


def test_a_path_is_read(tmp_path: Path) -> None:
    Image.fromarray(pattern()).save(tmp_path / "a.png")
    np.testing.assert_array_equal(as_picture(tmp_path / "a.png"), pattern())
    np.testing.assert_array_equal(as_picture(str(tmp_path / "a.png")), pattern())


@pytest.mark.parametrize(
    "image",
    [
        pattern()[..., 0],
        pattern()[..., :1],
        torch.from_numpy(pattern()[..., 0])[None],
        Image.fromarray(pattern()[..., 0]),
        Image.fromarray(pattern()[..., 0]).convert("LA"),
        Image.fromarray(pattern()[..., 0].astype(np.uint16) * 257),
    ],
    ids=["array", "one channel", "tensor", "Pillow", "Pillow with alpha", "Pillow of 16 bits"],
)
def test_grey_becomes_rgb(image: Any) -> None:
    np.testing.assert_array_equal(as_picture(image), np.repeat(pattern()[..., :1], 3, axis=2))


def test_pillow_is_turned_upright_and_its_palette_followed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    Image.fromarray(pattern()).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(as_picture(opened), np.rot90(pattern(), k=-1))
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert as_picture(palette).tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_a_picture_is_its_own_and_stays(predictor: ImagePredictor) -> None:
    image = pattern()
    picture = predictor.encode(image)
    image[:] = 0
    np.testing.assert_array_equal(picture.image, pattern())
    assert picture.size == (4, 6)
    with pytest.raises(ValueError, match="read-only"):
        picture.image[0, 0] = 0
    with pytest.raises(AttributeError):
        picture.image = image  # type: ignore[misc]


BAD: dict[str, tuple[Any, str]] = {
    "floats up to 255": (pattern().astype(np.float32), r"holds floats from \d+ to \d\d\d; give floats from 0 to 1"),
    "negative floats": (pattern() / 255 - 0.5, "holds floats from -0.49"),
    "NaN": (np.full((4, 6, 3), np.nan), "holds nan; give finite numbers"),
    "whole numbers": (pattern().astype(np.int64), "holds values of type int64; give uint8 from 0 to 255, or floats"),
    "bool": (np.zeros((4, 6, 3), bool), "holds values of type bool"),
    "text": (np.array([["a"]]), "holds values of type <U1"),
    "channels first": (np.zeros((3, 4, 6), np.uint8), r"shape \(3, 4, 6\).*colours come last: image.transpose"),
    "five channels": (np.zeros((4, 6, 5), np.uint8), r"give \(H, W, 3\) for RGB"),
    "batch": (np.zeros((2, 4, 6, 3), np.uint8), "several pictures as a list of these"),
    "one axis": (np.zeros(4, np.uint8), r"has the shape \(4,\)"),
    "tensor with colours last": (torch.zeros(5, 6, 3), r"is a tensor of the shape \(5, 6, 3\); give \(3, H, W\)"),
    "zero-size array": (np.zeros((0, 6, 3), np.uint8), "is 6 wide and 0 high; give one with at least one pixel"),
    "zero-size tensor": (torch.zeros(3, 4, 0), "is 0 wide and 4 high"),
    "zero-size Pillow": (Image.new("RGB", (0, 5)), "is 0 wide and 5 high"),
    "number": (5, r"is of type int; give a path, a PIL picture, an array"),
    "Pillow of 32 bits": (Image.new("F", (4, 4)), "has 32 bits a pixel value"),
}


def test_a_png_of_16_bits_as_older_pillows_open_it() -> None:
    levels = np.arange(0, 65536, 2114, np.int32).reshape(4, 8)
    opened = Image.fromarray(levels)
    assert opened.mode == "I"
    opened.format = "PNG"  # type: ignore[misc]
    assert (as_picture(opened)[..., 1] == levels >> 8).all()


@pytest.mark.parametrize(("image", "sentence"), BAD.values(), ids=BAD)
def test_what_is_no_picture(predictor: ImagePredictor, image: Any, sentence: str) -> None:
    with pytest.raises(MediaError, match=f"^the picture .*{sentence}"):
        predictor.encode(image)


def test_one_of_a_batch_is_named(predictor: ImagePredictor) -> None:
    with pytest.raises(MediaError, match="picture 1 is 6 wide and 0 high"):
        predictor.encode([pattern(), pattern()[:0]])


def test_a_cut_file_that_pillow_opened(predictor: ImagePredictor, tmp_path: Path) -> None:
    Image.fromarray(pattern(200, 200)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:3000])
    with Image.open(tmp_path / "cut.jpg") as opened, pytest.raises(MediaError, match="the picture cannot be read"):
        predictor.encode(opened)


def test_a_decompression_bomb(predictor: ImagePredictor, tmp_path: Path) -> None:
    """A small file that says it is 60,000 pixels wide and high."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    packed = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    with pytest.raises(MediaError, match=r"bomb\.png cannot be read as a picture: .*decompression bomb"):
        predictor.encode(tmp_path / "bomb.png")


@pytest.mark.parametrize("size", [(1, 1), (20, 30_000), (30_000, 20), (1, 500)])
def test_odd_sizes(predictor: ImagePredictor, size: tuple[int, int]) -> None:
    height, width = size
    picture = predictor.encode(np.full((*size, 3), 90, np.uint8))
    masks = predictor.predict(picture, boxes=(0, 0, width, height), points=[(width / 2, height / 2)])
    assert masks.masks.shape == (1, *size)
    assert masks.overlay().size == (width, height)


@pytest.mark.parametrize("tall", [False, True], ids=["usual", "in several strips"])
def test_pictures_are_scaled_as_published(predictor: ImagePredictor, cat: NDArray[np.uint8], tall: bool) -> None:
    image = pattern(900, 50) if tall else cat
    scaled = F.interpolate(
        torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255, (192, 192), mode="bilinear", antialias=True
    )
    expected = (scaled[0].permute(1, 2, 0).numpy() - MEAN) / STD
    ours = picture_tensor(image, predictor.engine)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-6, rtol=0)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_eight_bits_as_floats_are_the_same_picture(image: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(as_picture(image.astype(np.float32) / 255), image)
