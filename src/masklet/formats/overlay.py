"""A video for people to look at: H.264 in MP4, which every browser and player shows."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, Sink
from masklet.formats.film import Film, FilmKind, film_or_png, open_film
from masklet.formats.sound import MP4_SOUND

if TYPE_CHECKING:
    from typing_extensions import Self

MP4_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libopenh264": {"b": "8M"},
    "mpeg4": {"qscale": "3"},
}
"""Encoders and their options, the best first. The last is MPEG-4 part 2, which browsers don't play."""


def write_overlay(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """A film of the source's rate with every mask tinted, outlined and named, its frames in their order; or one PNG."""
    return film_or_png(path, facts, mp4, lambda result: np.asarray(result.overlay()))


class OverlayWriter:
    """Writes pictures into an MP4 that appears under its name when the `with` block ends cleanly.

    path  the file to write; what was there before stays until then
    size  (height, width) of the frames; an odd side gets its last row or column twice, as yuv420p wants even ones
    rate  frames a second

    Raises FormatError if the file cannot be written, if no frame came, or if this build of FFmpeg has no encoder.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        size: tuple[int, int],
        rate: float | Fraction,
    ) -> None:
        if not 0 < rate <= 1000:
            raise FormatError(f"rate is {rate}; give frames a second, such as 24")
        self.path = Path(path)
        self.size = size
        self.rate = Fraction(rate).limit_denominator(1001)
        self.frame_count = 0
        self._life = open_film(self.path, size, self.rate, mp4())
        self._film: Film | None = None

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a frame, uint8 (H, W, 3), RGB. Raises FormatError for another type or size."""
        if self._film is None:
            raise FormatError(f"{self.path.name} is not open; write inside `with OverlayWriter(...) as writer:`")
        if image.dtype != np.uint8 or image.shape != (*self.size, 3):
            raise FormatError(
                f"frame {self.frame_count} is {image.dtype} {image.shape}; give uint8 RGB of shape {(*self.size, 3)}"
            )
        self._film.write(image, float(self.frame_count / self.rate))
        self.frame_count += 1

    def __enter__(self) -> Self:
        self._film = self._life.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._film = None
        self._life.__exit__(kind, error, traceback)


def mp4() -> FilmKind:
    """An MP4 by the best of MP4_ENCODERS; a warning if that is not H.264."""
    kind = FilmKind("mp4", MP4_ENCODERS, "yuv420p", MP4_SOUND)
    if kind.encoder() == "mpeg4":
        warnings.warn(
            "this build of FFmpeg has no H.264 encoder; writing MPEG-4 part 2, which browsers don't play",
            stacklevel=2,
        )
    return kind


OVERLAY = Format(
    "overlay",
    "the picture with the masks drawn in, PNG or MP4 with sound; any number of objects",
    write_overlay,
    video=".mp4",
    picture=".png",
    shows_pictures=True,
)
