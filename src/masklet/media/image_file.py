"""One picture from a file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from masklet.errors import MediaError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Files that count as pictures where a folder is searched; `read_image` itself goes by the content."""


def read_image(path: str | PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture as uint8 (H, W, 3), RGB, turned upright by its EXIF note.

    Grey pictures become RGB, those of 16 bits are brought to 8, transparency is dropped.
    Raises MediaError if the file is missing, damaged, no picture, or of 32 bits a pixel value.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(f"there is no file at {path}; give the path of a picture")
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except UnidentifiedImageError:
        raise MediaError(f"{path.name} is not a picture that can be read; give a file such as .jpg or .png") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's, for damaged files
        raise MediaError(f"{path.name} cannot be read as a picture: {error}; give another copy") from error
    if picture.mode in ("I", "F"):
        raise MediaError(f"{path.name} has 32 bits a pixel value; save it with 8 or 16 bits a channel")
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return np.array(picture.convert("RGB"))
