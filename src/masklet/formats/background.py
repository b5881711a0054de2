"""The objects before another background: a colour, a picture, or their own out of focus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from masklet.errors import FormatError
from masklet.formats.base import Facts, FrameLike
from masklet.formats.film import FilmClock, open_film, picture_of
from masklet.formats.matte import frame_alpha
from masklet.formats.overlay import mp4
from masklet.formats.registry import Sink, writes
from masklet.masks.refine import blend, blurred_around, own_colors

Change = Callable[[FrameLike], NDArray[np.uint8]]
"""From a frame to its picture with another background, uint8 (H, W, 3) RGB."""


@writes("background", suffixes=(".mp4",), help="MP4 with the background replaced by a colour, a picture or a blur")
@contextmanager
def write_background(path: Path, facts: Facts) -> Iterator[Sink]:
    """A film of the source's rate, with its sound. Frames come in their order."""
    change = background_change(facts.background, facts.size)
    clock = FilmClock(facts)
    with open_film(path, facts.size, facts.film_rate, mp4(), facts.audio_from) as film:
        yield lambda result: film.write(change(result), clock.seconds(result), clock.source_time())


def background_change(background: str | Path, size: tuple[int, int]) -> Change:
    """What puts frames of (height, width) = `size` before a background: "blur", a colour, or a picture's path.

    Raises FormatError if it is none of these, or the picture cannot be read.
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
    if not path.is_file():
        raise FormatError(
            f"{str(path)!r} is no background; give blur, a colour such as white or #00ff00, or the path of a picture"
        )
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FormatError(f"{path.name} cannot be read as a picture: {error}; give another copy") from error
    return np.array(ImageOps.fit(upright, size[::-1], Image.Resampling.LANCZOS))
