"""The objects before another background: a colour, a picture, or their own out of focus."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, FrameLike, Sink, picture_of
from masklet.formats.film import film_or_png
from masklet.formats.matte import frame_alpha
from masklet.formats.overlay import mp4
from masklet.masks.refine import blend, blurred_around, own_colors

Change = Callable[[FrameLike], NDArray[np.uint8]]
"""From a frame to its picture with another background, uint8 (H, W, 3) RGB."""


def write_background(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """A film of the source's rate, with its sound, its frames in their order; or one PNG."""
    return film_or_png(path, facts, mp4, background_change(facts.background, facts.size))


def background_change(background: str | Path, size: tuple[int, int]) -> Change:
    """What puts frames of (height, width) = `size` before a background: "blur", a colour, or a picture's path.

    Raises FormatError if it is something else, or the picture cannot be read.
    """
    if background == "blur":
        return _blurred
    color = _color(background)
    return _before(_cover(Path(background), size) if color is None else color)


def _blurred(result: FrameLike) -> NDArray[np.uint8]:
    image, alpha = picture_of(result), frame_alpha(result)
    return blend(own_colors(image, alpha), alpha, blurred_around(image, alpha))


def _before(back: NDArray[np.uint8] | tuple[int, int, int]) -> Change:
    def change(result: FrameLike) -> NDArray[np.uint8]:
        alpha = frame_alpha(result)
        return blend(own_colors(picture_of(result), alpha), alpha, back)

    return change


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
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FormatError(f"{path.name} cannot be read as a picture: {error}; give another copy") from error
    return np.array(ImageOps.fit(upright, size[::-1], Image.Resampling.LANCZOS))


BACKGROUND = Format(
    "background",
    "the objects before a colour, a picture or a blur, PNG or MP4",
    write_background,
    video=".mp4",
    picture=".png",
    shows_pictures=True,
)
