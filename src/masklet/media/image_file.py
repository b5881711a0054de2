"""One picture from a file."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from masklet.errors import MediaError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Files that count as pictures where a folder is searched; `read_image` itself goes by the content."""

DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    *(RuntimeError, MemoryError, struct.error, Image.DecompressionBombError),
)
"""The errors that Pillow's plugins raise for damaged files."""


def read_image(path: str | PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture as uint8 (H, W, 3), RGB, turned upright by its EXIF note.

    Grey pictures become RGB, those of 16 bits are brought to 8, transparency is dropped.
    Raises MediaError if the file is missing, damaged, no picture, or of 32 bits a pixel value.
    """
    path = Path(path)
    with open_image(path) as picture:
        return upright_rgb(picture, path.name)


def read_deep(path: Path) -> NDArray[np.uint16] | None:
    """A PNG or TIFF of 16 bits as uint16 (H, W, 3), RGB, turned upright; None for all other files."""
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        return None
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return pixels[..., ::-1].astype(np.uint16) if pixels is not None and pixels.dtype == np.uint16 else None


def open_image(path: Path) -> Image.Image:
    """A picture of which only the head was read; to be closed. Raises MediaError."""
    if not os.path.isfile(path):
        raise MediaError(f"there is no file at {path}; give the path of a picture")
    with reading(path.name):
        try:
            return Image.open(path)
        except UnidentifiedImageError:
            name = path.name
            raise MediaError(f"{name} is not a picture that can be read; give a file such as .jpg or .png") from None


def upright_rgb(opened: Image.Image, name: str) -> NDArray[np.uint8]:
    """The picture's present page as uint8 (H, W, 3), RGB. Raises MediaError, which calls it `name`."""
    with reading(name):
        picture = ImageOps.exif_transpose(opened)
        picture.load()
    if picture.mode in ("I", "F"):
        raise MediaError(f"{name} has 32 bits a pixel value; save it with 8 or 16 bits a channel")
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return np.array(picture.convert("RGB"))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Pillow's errors for a file that begins like a picture and cannot be read become MediaError, which names it."""
    try:
        yield
    except DAMAGED as error:
        raise MediaError(f"{name} cannot be read as a picture: {error}; give another copy") from error
