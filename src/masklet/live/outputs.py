"""Where results go while they come: files of every format, and a pipe for other programs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.errors import FormatError, nearest
from masklet.formats.base import FrameLike, Sink, index_map
from masklet.formats.film import NOMINAL_RATE
from masklet.formats.matte import cut_out_objects
from masklet.formats.registry import find_format, format_of, writer
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
def into_file(path: Path, name: str, size: tuple[int, int], video: str, model: str) -> Iterator[Sink]:
    """A file or folder of any format; films keep the times at which frames were captured."""
    with writer(name, path, size=size, video=video, model=model) as sink:
        yield sink.write


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
        with av.open(_Unseekable(pipe), "w", format="nut") as container:
            stream = _raw_stream(container, pixels, size)

            def write(result: FrameLike) -> None:
                assert isinstance(result, FrameResult), "a live session gives results of a tracker"
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(draw(result)), format=pixels)
                picture.pts, picture.time_base = round(result.time / TICK), TICK
                container.mux(stream.encode(picture))
                pipe.flush()

            yield write
    except BrokenPipeError:
        raise FormatError("the program that read the pipe has ended; start both again") from None


class _Unseekable:
    """A pipe as PyAV wants it: something with `write` and nothing else."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.write = pipe.write


def _raw_stream(container: Any, pixels: str, size: tuple[int, int]) -> VideoStream:
    stream: VideoStream = container.add_stream("rawvideo", rate=NOMINAL_RATE)
    stream.height, stream.width = size
    stream.pix_fmt = pixels
    stream.codec_context.time_base = TICK
    return stream
