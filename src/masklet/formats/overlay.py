"""A video for people to look at: H.264 in MP4, which every browser and player shows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.formats.atomic import replacing

if TYPE_CHECKING:
    from typing_extensions import Self

ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libopenh264": {"b": "8M"},
    "mpeg4": {"qscale": "3"},
}
"""Encoders and their options, the best first. The last is MPEG-4 part 2, which browsers don't play."""

BT709 = 1
"""The colours of high definition: the number of its matrix, primaries and transfer alike (ISO/IEC 23091-2)."""


class OverlayWriter:
    """Writes frames into an MP4 that appears under its name when the `with` block ends cleanly.

    path  the file to write; what was there before stays until then
    size  (height, width) of the frames; an odd side gets its last row or column twice, as yuv420p wants even ones
    rate  frames a second

    Raises FormatError if the file cannot be written, if no frame came, or if this build of FFmpeg has no encoder.
    """

    def __init__(self, path: str | PathLike[str], size: tuple[int, int], rate: float | Fraction) -> None:
        if not 0 < rate <= 1000:
            raise FormatError(f"rate is {rate}; give frames a second, such as 24")
        self.path = Path(path)
        self.size = size
        self.rate = Fraction(rate).limit_denominator(1001)  # 29.97003 becomes 30000/1001
        self.frame_count = 0
        self._file = self._open_file()
        self._opened: tuple[OutputContainer, VideoStream] | None = None

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a frame, uint8 (H, W, 3), RGB. Raises FormatError for another type or size."""
        if self._opened is None:
            raise FormatError(f"{self.path.name} is not open; write inside `with OverlayWriter(...) as writer:`")
        if image.dtype != np.uint8 or image.shape != (*self.size, 3):
            raise FormatError(
                f"frame {self.frame_count} is {image.dtype} {image.shape}; give uint8 RGB of shape {(*self.size, 3)}"
            )
        container, stream = self._opened
        height, width = self.size
        even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        picture.pts, picture.time_base = self.frame_count, 1 / self.rate
        container.mux(stream.encode(picture))
        self.frame_count += 1

    def __enter__(self) -> Self:
        self._opened = self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened = None
        self._file.__exit__(kind, error, traceback)

    @contextmanager
    def _open_file(self) -> Iterator[tuple[OutputContainer, VideoStream]]:
        """The file's whole life; FFmpeg's errors on the way, those of `write` too, leave it as FormatError."""
        with replacing(self.path) as temporary:
            try:
                with av.open(str(temporary), "w", format="mp4") as container:
                    stream = _add_stream(container, self.size, self.rate)
                    container.start_encoding()  # opens the file: what is wrong with the path shows now
                    yield container, stream
                    if self.frame_count == 0:
                        raise FormatError(f"no frame was written to {self.path}; a video needs one or more")
                    container.mux(stream.encode(None))
            except av.FFmpegError as error:
                raise FormatError(
                    f"{self.path} cannot be written: {error.strerror}; give a path in a folder that exists and has room"
                ) from error


def _add_stream(container: OutputContainer, size: tuple[int, int], rate: Fraction) -> VideoStream:
    height, width = size
    name = _encoder()
    stream = container.add_stream(name, rate=rate, options=ENCODERS[name])
    assert isinstance(stream, VideoStream), f"{name} is a video encoder"
    stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
    # Said in the file, as players otherwise guess the colours from the picture's size.
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = ColorRange.MPEG
    return stream


def _encoder() -> str:
    """The first of ENCODERS that this FFmpeg has; a warning if it is not H.264, FormatError if there is none."""
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
        except UnknownCodecError:
            continue
        if name == "mpeg4":
            warnings.warn(
                "this build of FFmpeg has no H.264 encoder; writing MPEG-4 part 2, which browsers don't play",
                stacklevel=2,
            )
        return name
    raise FormatError(f"this build of FFmpeg has none of the encoders {', '.join(ENCODERS)}; install PyAV from PyPI")
