"""A video for people to look at: H.264 in MP4, which every browser and player shows."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.formats.base import Facts, Format, FrameLike, Sink
from masklet.formats.cutter import save_png
from masklet.formats.film import FilmKind, open_film, write_film
from masklet.formats.numbered import frame_files
from masklet.formats.sound import MP4_SOUND

MP4_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libopenh264": {"b": "8M"},
    "mpeg4": {"qscale": "3"},
}
"""Encoders and their options, the best first. The last is MPEG-4 part 2, which browsers don't play."""


def mp4_or_png(
    path: Path, facts: Facts, draw: Callable[[FrameLike], NDArray[np.uint8]]
) -> AbstractContextManager[Sink]:
    """A sink that draws frames, in their order, into an MP4 of the source's rate, or by its ending into the PNG of one
    picture."""
    if path.suffix.lower() == ".png":
        return frame_files(path, facts, ".png", lambda target, result: save_png(target, draw(result)))
    return write_film(path, facts, mp4(), draw)


@contextmanager
def write_pictures(path: Path, size: tuple[int, int], rate: float) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """A sink of pictures, uint8 (H, W, 3), RGB, for an MP4 that appears under its name when the block ends cleanly.

    size  (height, width); an odd side gets its last row or column twice, as yuv420p wants even ones
    rate  frames a second

    Raises FormatError if the file cannot be written, if no frame came, or if this build of FFmpeg has no encoder.
    """
    with open_film(path, size, rate, mp4()) as film:
        yield lambda image: film.write(image, film.frame_count / rate)


def mp4() -> FilmKind:
    """An MP4 by the best of MP4_ENCODERS; a warning if that is not H.264."""
    kind = FilmKind("mp4", MP4_ENCODERS, ("yuv420p",), MP4_SOUND)
    if kind.encoder() == "mpeg4":
        warnings.warn(
            "this build of FFmpeg has no H.264 encoder; writing MPEG-4 part 2, which browsers don't play",
            stacklevel=2,
        )
    return kind


OVERLAY = Format(
    "overlay",
    "the picture with the masks drawn in, PNG or MP4 with sound; any number of objects",
    partial(mp4_or_png, draw=lambda result: np.asarray(result.overlay())),
    video=".mp4",
    picture=".png",
    shows_pictures=True,
)
