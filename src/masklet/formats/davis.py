"""PNGs of masks. DAVIS: one for each frame, in a palette; a pixel's value is the object's index, 0 the background. And
a folder for each object, with a black and white one for each frame: masks may overlap, and there is no limit."""

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, make_folder, natural_order
from masklet.errors import DAMAGED, FormatError
from masklet.formats.base import (
    MAX_INDEX,
    Facts,
    Format,
    FrameLike,
    ObjectId,
    PlainFrame,
    Sink,
    colours_of,
    escaped,
    index_map,
    object_numbers,
    read_frame,
)
from masklet.formats.writer import frame_files
from masklet.masks.draw import PALETTE
from masklet.masks.rle import encode_rle

MAX_GREY_INDEX = 32
"""Grey pictures whose values are no higher, 255 ("unknown") left out, hold numbers of objects; others are black and
white, with edges or noise between."""

UNKNOWN = 255
"""The value of pixels of which nobody knows, in index PNGs."""


def numbered_files(folder: Path) -> dict[int, Path]:
    """The PNGs of a folder by frame, in the order of frames; other files are passed over."""
    found = ((re.fullmatch(r"(\d+)\.png", file.name, re.ASCII), file) for file in folder.iterdir())
    return dict(sorted((int(match[1]), file) for match, file in found if match))


def mask_pngs(*folders: Path) -> dict[int, list[Path]]:
    """The same of all folders; where no PNG is named by a number all count, in the natural order of their names."""
    numbered = [pair for folder in folders for pair in numbered_files(folder).items()]
    named = [file for folder in folders for file in folder.glob("*.png") if not file.name.startswith(".")]
    places = {name: place for place, name in enumerate(sorted({Path(file.name) for file in named}, key=natural_order))}
    found: dict[int, list[Path]] = {}
    for frame, file in sorted(numbered or [(places[Path(file.name)], file) for file in named]):
        found.setdefault(frame, []).append(file)
    return found


@contextmanager
def undamaged(fault: str) -> Iterator[None]:
    """What Pillow raises inside for a damaged picture becomes a FormatError that says `fault`."""
    try:
        yield
    except (*DAMAGED, Image.DecompressionBombError, zlib.error) as error:
        raise FormatError(f"{fault}: {error}; give another copy") from error


def open_png(path: Path) -> NDArray[Any]:
    """The values of a PNG of one channel: bool, uint8 or uint16 (H, W).

    Raises FormatError if the file is missing, damaged, or holds colours in place of values.
    """
    if not os.path.isfile(path):
        raise FormatError(f"there is no file at {path}; give the path of a mask PNG")
    with undamaged(f"{path.name} cannot be read as a PNG"), Image.open(path) as picture:
        mode = picture.mode
        pixels = np.array(picture)
    if mode not in ("P", "L", "1"):
        raise FormatError(
            f"{path.name} is a picture of the kind {mode}; a mask is a palette PNG or a grey one of 8 bits, "
            "whose pixel values are the objects' indices"
        )
    return pixels


def masks_in_png(path: Path) -> dict[int, NDArray[np.bool_]]:
    """The objects of a PNG that holds masks, by number, bool (H, W) each: one, which may be empty, or several.

    Of a picture with numbers of objects each of them, but not what is unknown (255), unless nothing else is there. Of a
    black and white picture what is at least half white. Raises FormatError as `open_png`.
    """
    values = open_png(path)
    if values.dtype == np.bool_:
        return {1: values}
    there = [int(value) for value in np.unique(values) if value]
    numbers = [value for value in there if value != UNKNOWN] or there
    with Image.open(path) as picture:
        grey = picture.mode == "L"  # without a palette
    if grey and len(there) > 1 and max(numbers) > MAX_GREY_INDEX:
        return {1: np.asarray(values >= 128)}
    return {number: np.asarray(values == number) for number in numbers or [1]}


def read_davis(path: Path) -> Iterator[PlainFrame]:
    """Masks of each frame by number; 255, "unknown", is no object. A file is the only frame. Raises FormatError for a
    folder without PNGs."""
    files = mask_pngs(path) if os.path.isdir(path) else {0: [path]} if os.path.isfile(path) else {}
    if not files:
        raise FormatError(f"{path} is no folder with PNGs such as 00000.png; give one with index PNGs")
    for frame, (file, *_) in files.items():
        indices = read_index_png(file)
        numbers = [int(number) for number in np.unique(indices) if 1 <= number <= MAX_INDEX]
        masks = {number: encode_rle(indices == number) for number in numbers}
        yield read_frame(frame, masks, indices.shape, {number: number for number in numbers})


def write_index_png(path: Path, index_map: NDArray[np.integer]) -> None:
    """Write one index map (H, W) as a palette PNG. Numbers over 254, which it does not hold, are unknown (255). Raises
    FormatError if it cannot be written."""
    with atomic_write(path) as temporary:
        _save(temporary, np.minimum(index_map, UNKNOWN).astype(np.uint8, copy=False))


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
    folders: set[Path] = set()

    def write(result: FrameLike) -> None:
        file = f"{facts.stem(result.frame)}.png"
        items = {path / folder_name(name): item for name, item in result.objects.items()}
        for folder, item in items.items():
            make_folder(folder)
            with atomic_write(folder / file) as temporary:
                Image.fromarray(item.mask).save(temporary, format="PNG")  # bool: one bit for each pixel
        for other in folders - {*items}:  # the frame may have come with more objects before
            (other / file).unlink(missing_ok=True)
        folders.update(items)

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
        return escaped(name, "^.")
    return escaped(name, r'[%<>:"/\\|?*\x00-\x1f\x7f]|^[. ]|[. ]\Z') or "%"  # the empty name


def object_name(folder: str) -> ObjectId:
    """The object of a folder, the inverse of `folder_name`."""
    if re.fullmatch(r"-?\d+", folder, re.ASCII):
        return int(folder)
    return "" if folder == "%" else unquote(folder)


def _read_mask(file: Path) -> NDArray[np.bool_]:
    pixels = open_png(file)
    if pixels.dtype != np.bool_:
        values = np.unique(pixels)
        if len(values) > 2 or (len(values) == 2 and values[0] != 0):
            raise FormatError(f"{file.name} holds the values {values[:4]}; the mask of one object has 0 and one other")
    return np.asarray(pixels != 0)


OBJECTS = Format(
    "objects",
    "one folder per object, a black and white PNG per frame; any number of objects",
    write_object_pngs,
    read_object_pngs,
    video="",
)
