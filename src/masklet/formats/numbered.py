"""A file for each frame: 00000.png, 00001.png, ... or, where frames are pictures in files, by their names."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet import errors
from masklet.atomic import atomic_write, make_folder, natural_order
from masklet.errors import FormatError
from masklet.formats.base import Facts, FrameLike, Sink


@contextmanager
def frame_files(path: Path, facts: Facts, suffix: str, write: Callable[[Path, FrameLike], None]) -> Iterator[Sink]:
    """A sink that writes each frame to a file of its own, with that ending, which is whole as soon as it is there.

    The path is a folder, which is made if need be; or, if it has the ending, the file of the only frame, which appears
    at the end.
    """
    if path.suffix.lower() != suffix or os.path.isdir(path):
        make_folder(path)

        def each(result: FrameLike) -> None:
            with atomic_write(path / f"{facts.stem(result.frame)}{suffix}") as temporary:
                write(temporary, result)

        yield each
        return
    written: list[int] = []
    with atomic_write(path) as temporary:

        def only(result: FrameLike) -> None:
            if written and result.frame not in written:
                raise FormatError(
                    f"{path.name} is the file of one picture, and frame {result.frame} is another; give a folder"
                )
            written[:] = [result.frame]
            write(temporary, result)

        yield only
        if not written:
            raise FormatError(f"no frame was written to {path}; it is the file of one picture")


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


DAMAGED = (*errors.DAMAGED, Image.DecompressionBombError)
"""What Pillow raises for damaged files."""


def open_png(path: Path) -> NDArray[Any]:
    """The values of a PNG of one channel: bool, uint8 or uint16 (H, W).

    Raises FormatError if the file is missing, damaged, or holds colours in place of values.
    """
    if not os.path.isfile(path):
        raise FormatError(f"there is no file at {path}; give the path of a mask PNG")
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            pixels = np.array(picture)
    except DAMAGED as error:
        raise FormatError(f"{path.name} cannot be read as a PNG: {error}; give another copy") from error
    if mode not in ("P", "L", "1"):
        raise FormatError(
            f"{path.name} is a picture of the kind {mode}; a mask is a palette PNG or a grey one of 8 bits, "
            "whose pixel values are the objects' indices"
        )
    return pixels


MOST_GREY_INDEX = 32
"""Grey pictures whose values are no higher, 255 ("unknown") left out, hold numbers of objects; others are black and
white, with edges or noise between."""

UNKNOWN = 255
"""The value of pixels of which nobody knows, in index PNGs."""


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
    if grey and len(there) > 1 and max(numbers) > MOST_GREY_INDEX:
        return {1: np.asarray(values >= 128)}
    return {number: np.asarray(values == number) for number in numbers or [1]}
