"""The objects before another background: a colour, a picture, or their own out of focus."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from masklet.errors import FormatError
from masklet.formats.base import Facts, FrameLike, Sink
from masklet.formats.cutter import CutOut, Cutter
from masklet.formats.numbered import DAMAGED
from masklet.formats.overlay import mp4_or_png
from masklet.masks.refine import blend, blurred_around, own_colors

Back = NDArray[np.uint8] | tuple[int, int, int] | None
"""A picture, a colour, or None for the frame's own, out of focus."""


def write_background(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """A film of the source's rate, with its sound, its frames in their order; or one PNG.

    Raises FormatError if `facts.finish` shows something else than the objects.
    """
    if facts.finish.show != "cutout":
        raise FormatError(f"background shows the objects, and {facts.finish.show} is asked for; take another format")
    back, cutter = find_background(facts.finish.background, facts.size), Cutter(facts)

    def draw(result: FrameLike) -> NDArray[np.uint8]:
        image = cutter.image(result)
        alpha = cutter.alpha(result, image)
        return blend(own_colors(image, alpha), alpha, blurred_around(image, alpha) if back is None else back)

    return mp4_or_png(path, facts, draw)


def find_background(background: str | Path, size: tuple[int, int]) -> Back:
    """What frames of (height, width) = `size` are put before: "blur", a colour, or a picture's path.

    Raises FormatError if it is something else, or the picture cannot be read.
    """
    if background == "blur":
        return None
    return _color(background) or _cover(Path(background), size)


def _color(background: str | Path) -> tuple[int, int, int] | None:
    """The colour of that name or hexadecimal number, or None if it is no colour's."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(str(background))
    except ValueError:
        return None
    return red, green, blue


def _cover(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture that fills the frame, its middle part where the shapes differ."""
    if not os.path.isfile(path):
        raise FormatError(
            f"{str(path)!r} is no background; give blur, a colour such as white or #00ff00, or the path of a picture"
        )
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except DAMAGED as error:
        raise FormatError(f"{path.name} cannot be read as a picture: {error}; give another copy") from error
    return np.array(ImageOps.fit(upright, size[::-1], Image.Resampling.LANCZOS))


BACKGROUND = CutOut(
    "background",
    "the objects before a colour, a picture or a blur, PNG or MP4",
    write_background,
    video=".mp4",
    picture=".png",
)
