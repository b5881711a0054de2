"""PNGs. DAVIS: one for each frame, in a palette; a pixel's value is the object's index, 0 the background. And a folder
for each object, with a black and white one for each frame: masks may overlap, and there is no limit."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, make_folder
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
    object_numbers,
    read_frame,
)
from masklet.formats.numbered import frame_files, mask_pngs, open_png
from masklet.masks.draw import PALETTE
from masklet.masks.rle import Rle, encode_rle


def read_davis(path: Path) -> Iterator[PlainFrame]:
    """Masks of each frame by number; 255, "unknown", is no object. Raises FormatError for a folder without PNGs."""
    if not os.path.isdir(path) or not (files := mask_pngs(path)):
        raise FormatError(f"{path} is no folder with PNGs such as 00000.png; give one with index PNGs")
    for frame, (file, *_) in files.items():
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


def _save(path: Path, index_map: NDArray[np.uint8], colours: Mapping[int, tuple[int, int, int]] | None = None) -> None:
    picture, palette = Image.fromarray(index_map), PALETTE.copy()
    for number, colour in (colours or {}).items():
        palette[number] = colour
    picture.putpalette(palette.tobytes())
    picture.save(path, format="PNG")


DAVIS = Format(
    "davis",
    "palette PNGs of the objects' numbers, as in DAVIS; objects 1 to 254, no overlap",
    partial(frame_files, suffix=".png", write=lambda path, frame: _save(path, index_map(frame), colours_of(frame))),
    read_davis,
    video="",
    picture=".png",
)


@contextmanager
def write_object_pngs(path: Path, facts: Facts) -> Iterator[Sink]:
    """PATH/OBJECT/00000.png ...; each file is whole as soon as it is there."""
    make_folder(path)

    def write(result: FrameLike) -> None:
        for name, item in result.objects.items():
            folder = path / folder_name(name)
            make_folder(folder)
            with atomic_write(folder / f"{facts.stem(result.frame)}.png") as temporary:
                Image.fromarray(item.mask).save(temporary, format="PNG")  # bool: one bit for each pixel

    yield write


def read_object_pngs(path: Path) -> Iterator[PlainFrame]:
    """Masks of each frame by object. Raises FormatError for an empty folder, for PNGs of more than two colours, and if
    the PNGs of a frame are of different sizes."""
    if not os.path.isdir(path):
        raise FormatError(f"{path} is not a folder; give one with a folder for each object")
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    indices = object_numbers(object_name(folder.name) for folder in folders)
    files = mask_pngs(*folders)
    if not files:
        raise FormatError(f"{path} holds no folder with PNGs such as 00000.png; give one with a folder for each object")
    for frame, found in files.items():
        masks = {object_name(file.parent.name): _read_mask(file) for file in found}
        sizes = {mask.shape: file for file, mask in zip(found, masks.values(), strict=True)}
        if len(sizes) > 1:
            raise FormatError(f"{' and '.join(map(str, sizes.values()))} differ in size; give masks of one video")
        yield read_frame(frame, {name: encode_rle(mask) for name, mask in masks.items()}, next(iter(sizes)), indices)


def folder_name(name: ObjectId) -> str:
    """A file name for an object; what no file system takes is written as in web addresses, `a/b` as `a%2Fb`.

    Digits alone are a number's; the text "7" is written as "%37".
    """
    if isinstance(name, int):
        return str(name)
    if re.fullmatch(r"-?\d+", name, re.ASCII):
        return _escaped(name[0]) + name[1:]
    safe = re.sub(r'[%<>:"/\\|?*\x00-\x1f\x7f]', lambda match: _escaped(match[0]), name)
    safe = re.sub(r"^[. ]|[. ]$", lambda match: _escaped(match[0]), safe)
    return safe or "%"  # the empty name


def object_name(folder: str) -> ObjectId:
    """The object of a folder, the inverse of `folder_name`."""
    if re.fullmatch(r"-?\d+", folder, re.ASCII):
        return int(folder)
    return "" if folder == "%" else unquote(folder)


def _escaped(letter: str) -> str:
    return f"%{ord(letter):02X}"


def _read_mask(file: Path) -> NDArray[np.bool_]:
    pixels = open_png(file)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.bool_)
    values = np.unique(pixels)
    if len(values) > 2 or (len(values) == 2 and values[0] != 0):
        raise FormatError(f"{file.name} holds the values {values[:4]}; the mask of one object has 0 and one other")
    return pixels != 0


OBJECTS = Format(
    "objects",
    "one folder per object, a black and white PNG per frame; any number of objects",
    write_object_pngs,
    read_object_pngs,
    video="",
)
