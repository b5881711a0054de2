"""A video file, read through PyAV as it is decoded: memory does not grow with the video's length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from os import PathLike
from pathlib import Path
from threading import Event
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.source import Frame, FrameSource


class VideoFile(FrameSource):
    """Frames of a video file's first video stream.

    Opening decodes the first frame alone, to know that the file can be read, and how it is to be turned.
    Frames whose size changes on the way are scaled to the first one's.

    Raises MediaError, when opened, if the file is missing, is no video, or has no frame that can be decoded.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.ended_early: str | None = None
        self._closed = Event()
        with _opened(self.path) as (container, stream):
            try:
                first = next(_decoded(container, stream))
            except (StopIteration, _BrokenOff):
                raise MediaError(
                    f"{self.path.name} holds no frame that can be decoded; is the file complete? Give another copy"
                ) from None
            self._coded_size = (first.height, first.width)
            self._turn = _display_matrix(first)
            height, width = self._coded_size
            self.size = (width, height) if _is_sideways(self._turn) else (height, width)
            rate = stream.average_rate or stream.guessed_rate
            self.rate: float | None = float(rate) if rate else None
            self._promised = _promised_seconds(container, stream)
            self.frame_count_exact = stream.frames > 0
            self.frame_count: int | None = stream.frames or None
            if self.frame_count is None and self._promised and self.rate:
                self.frame_count = max(1, round(self._promised * self.rate))

    def __iter__(self) -> Iterator[Frame]:
        if self._closed.is_set():
            raise MediaError(f"{self.path.name} was closed; open it again to read its frames")
        self.ended_early = None
        index, start, end, fault = -1, 0.0, 0.0, ""
        with _opened(self.path) as (container, stream):
            stream.thread_type = "AUTO"
            try:
                for index, picture in enumerate(_decoded(container, stream)):
                    if self._closed.is_set():
                        return
                    period = 1 / self.rate if self.rate else 0.0
                    time = index * period if picture.pts is None else _seconds(picture.pts, stream)
                    start = time if index == 0 else start
                    end = time - start + (_seconds(picture.duration, stream) or period)
                    yield Frame(index, time - start, self._upright_rgb(picture))
            except _BrokenOff as broken:
                fault = str(broken)
        self.ended_early = self._ended_early(index, end, fault)

    def close(self) -> None:
        """Iterations that are under way end at their next frame; later ones raise MediaError."""
        self._closed.set()

    def _upright_rgb(self, picture: VideoFrame) -> NDArray[np.uint8]:
        height, width = self._coded_size
        image = picture.reformat(width=width, height=height, format="rgb24").to_ndarray()
        assert image.dtype == np.uint8, "rgb24 has 8 bits a channel"
        return _turned(image.astype(np.uint8, copy=False), self._turn)

    def _ended_early(self, last: int, end: float, fault: str) -> str | None:
        """A sentence if decoding failed on the way, or the frames end two or more before the promised end."""
        tolerance = 2 / self.rate if self.rate else 0.1
        if not fault and self._promised is not None and end < self._promised - tolerance:
            fault = "the file has no more"
        if not fault:
            return None
        promised = f" of {self._promised:.2f} s" if self._promised else ""
        return f"{self.path.name} breaks off after frame {last} ({end:.2f} s{promised}): {fault}"


class _BrokenOff(Exception):
    """Decoding cannot go on; the message says why."""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream that is no cover picture. Raises MediaError."""
    if not path.is_file():
        raise MediaError(f"there is no file at {path}; give the path of a video file")
    try:
        container = av.open(str(path), "r")
    except av.FFmpegError as error:
        raise MediaError(
            f"{path.name} is not a video that can be decoded: {error.strerror}; "
            "give a file such as .mp4, .mov, .mkv or .webm"
        ) from error
    with container:
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "no"
            raise MediaError(f"{path.name} holds {kinds} streams but no video; give a file with a picture track")
        yield container, streams[0]


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """All frames that can be decoded, then _BrokenOff if an error or a cut ended them."""
    fault = ""
    try:
        for packet, following in pairwise(container.demux(stream)):
            if packet.is_corrupt and following.size == 0:  # a read that met the end of the file
                fault = "the last packet is incomplete"
                break
            yield from stream.decode(packet)
    except av.FFmpegError as error:
        fault = str(error.strerror)
    try:
        yield from stream.decode(None)  # what the decoder still holds back
    except av.FFmpegError as error:
        fault = fault or str(error.strerror)
    if fault:
        raise _BrokenOff(fault)


def _seconds(ticks: int | None, stream: VideoStream) -> float:
    """Ticks of the stream's clock as seconds; 0 where there are none."""
    return float(ticks * stream.time_base) if ticks and stream.time_base else 0.0


def _promised_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """The video's length by its header. That of the whole container is taken only if no sound may outlast it."""
    if stream.duration:
        return _seconds(stream.duration, stream)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


Matrix = tuple[tuple[int, int], tuple[int, int]]


def _display_matrix(picture: VideoFrame) -> Matrix:
    """((a, b), (c, d)), by which a pixel at (x, y) is shown at (a x + c y, b x + d y), up to a shift (ISO 14496-12)."""
    data: Any = picture.side_data.get("DISPLAYMATRIX")  # PyAV's stub knows motion vectors alone
    if data is None:
        return (1, 0), (0, 1)
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(data), np.int32).reshape(3, 3).tolist()
    return (a, b), (c, d)


def _is_sideways(matrix: Matrix) -> bool:
    (a, b), _ = matrix
    return abs(b) > abs(a)


def _turned(image: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """The image as it is to be shown, by quarter turns and mirrorings; odd angles go to the nearest of these."""
    (a, b), (c, d) = matrix
    if _is_sideways(matrix):
        image, across, down = image.transpose(1, 0, 2), c, b
    else:
        across, down = a, d
    image = image[:, ::-1] if across < 0 else image
    image = image[::-1] if down < 0 else image
    return np.ascontiguousarray(image)
