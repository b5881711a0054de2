"""Folders of 00000.png, 00001.png, ...: the number is the frame's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import FormatError


def numbered_files(folder: Path) -> dict[int, Path]:
    """The PNGs of a folder by frame, in the order of frames; other files are passed over."""
    found = ((re.fullmatch(r"(\d+)\.png", file.name, re.ASCII), file) for file in folder.iterdir())
    return dict(sorted((int(match[1]), file) for match, file in found if match))


def open_png(path: Path) -> NDArray[Any]:
    """The values of a PNG of one channel: bool, uint8 or uint16 (H, W).

    Raises FormatError if the file is missing, damaged, or holds colours in place of values.
    """
    if not path.is_file():
        raise FormatError(f"there is no file at {path}; give the path of a mask PNG")
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            pixels = np.array(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's, for damaged files
        raise FormatError(f"{path.name} cannot be read as a PNG: {error}; give another copy") from error
    if mode not in ("P", "L", "1"):
        raise FormatError(
            f"{path.name} is a picture of the kind {mode}; a mask is a palette PNG or a grey one of 8 bits, "
            "whose pixel values are the objects' indices"
        )
    return pixels
