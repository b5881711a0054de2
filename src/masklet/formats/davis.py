"""DAVIS: palette PNGs, one for each frame; a pixel's value is the object's index, 0 the background."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write
from masklet.errors import FormatError
from masklet.formats.base import (
    MOST_NUMBER,
    Facts,
    Format,
    FrameLike,
    ObjectId,
    PlainFrame,
    Sink,
    colours_of,
    index_map,
    read_frame,
)
from masklet.formats.numbered import frame_files, mask_pngs, open_png
from masklet.masks.draw import PALETTE
from masklet.masks.rle import Rle, encode_rle


def write_davis(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """PATH/00000.png ..., or one PNG."""
    return frame_files(path, facts, ".png", _write_frame)


def read_davis(path: Path) -> Iterator[PlainFrame]:
    """Masks of each frame by number; 255, "unknown", is no object. Raises FormatError for a folder without PNGs."""
    if not os.path.isdir(path) or not (files := mask_pngs(path)):
        raise FormatError(f"{path} is no folder with PNGs such as 00000.png; give one with index PNGs")
    for frame, file in files.items():
        indices = read_index_png(file)
        numbers = [int(number) for number in np.unique(indices) if 1 <= number <= MOST_NUMBER]
        masks: dict[ObjectId, Rle] = {number: encode_rle(indices == number) for number in numbers}
        yield read_frame(frame, masks, indices.shape, {number: number for number in numbers})


def write_index_png(path: Path, index_map: NDArray[np.integer]) -> None:
    """Write one index map (H, W), numbers up to 255, as a palette PNG. Raises FormatError if it cannot be written."""
    with atomic_write(path) as temporary:
        _save(temporary, index_map.astype(np.uint8, copy=False))


def read_index_png(path: str | PathLike[str]) -> NDArray[np.uint8]:
    """Read the object indices of a palette or grey PNG: uint8 (H, W).

    Raises FormatError if the file is missing, damaged, or holds colours in place of indices.
    """
    return open_png(Path(path)).astype(np.uint8)


def _write_frame(path: Path, result: FrameLike) -> None:
    _save(path, index_map(result), colours_of(result))


def _save(path: Path, index_map: NDArray[np.uint8], colours: Mapping[int, tuple[int, int, int]] | None = None) -> None:
    picture, palette = Image.fromarray(index_map), PALETTE.copy()
    for number, colour in (colours or {}).items():
        palette[number] = colour
    picture.putpalette(palette.tobytes())
    picture.save(path, format="PNG")


DAVIS = Format(
    "davis",
    "palette PNGs of the objects' numbers, as in DAVIS; objects 1 to 254, no overlap",
    write_davis,
    read_davis,
    video="",
    picture=".png",
)
