"""Where results go while they come: files of every format, and a pipe for other programs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.errors import FormatError, nearest
from masklet.formats.base import FrameLike, Sink, index_map
from masklet.formats.film import NOMINAL_RATE
from masklet.formats.matte import cut_out_objects
from masklet.formats.registry import find_format, format_of
from masklet.video import FrameResult

TICK = Fraction(1, 1_000_000)
"""Seconds of a tick in the pipe."""

PIPED: dict[str, tuple[str, Callable[[FrameResult], NDArray[np.uint8]]]] = {
    "overlay": ("rgb24", lambda result: np.asarray(result.overlay())),
    "davis": ("gray", index_map),
    "rgba": ("rgba", cut_out_objects),
}
"""The pictures that a pipe can carry: FFmpeg's name of the pixels, and how they are made."""


def file_format(path: Path, name: str | None) -> str:
    """The format that is meant by a path: the overlay for .mp4, index PNGs for a folder, else by the ending.

    Raises FormatError for an unknown format.
    """
    return find_format(name).name if name is not None else format_of(path).name


def piped_format(name: str | None) -> str:
    """The format that a pipe carries. Raises FormatError for one that it cannot."""
    if name is None:
        return "overlay"
    if name not in PIPED:
        raise FormatError(f"a pipe cannot carry {name!r}{nearest(name, PIPED)}; give one of {', '.join(PIPED)}")
    return name


@contextmanager
def into_pipe(pipe: IO[bytes], name: str, size: tuple[int, int]) -> Iterator[Sink]:
    """Raw pictures in FFmpeg's own container, NUT, with the times at which they were captured.

    pipe  is written to as frames come, and left open
    name  one of PIPED
    size  (height, width)

    Raises FormatError when nobody reads any more.
    """
    pixels, draw = PIPED[name]
    try:
        into: Any = SimpleNamespace(write=pipe.write)  # a pipe, in which nobody can seek
        with av.open(into, "w", format="nut") as container:
            stream: VideoStream = container.add_stream("rawvideo", rate=NOMINAL_RATE)
            stream.height, stream.width = size
            stream.pix_fmt = pixels
            stream.codec_context.time_base = TICK

            def write(result: FrameLike) -> None:
                assert isinstance(result, FrameResult), "a live session gives results of a tracker"
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(draw(result)), format=pixels)
                picture.pts, picture.time_base = round(result.time / TICK), TICK
                container.mux(stream.encode(picture))
                pipe.flush()

            yield write
    except BrokenPipeError:
        raise FormatError("the program that read the pipe has ended; start both again") from None
