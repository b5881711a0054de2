"""A video file's container: opened, its packets, the frames decoded from them, and whole pictures from fields."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from masklet.errors import MediaError

ANY_ENCODING: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""For `av.open`: titles in old files are in any encoding, which PyAV reads by itself from version 19 on."""

TEXT_FORMATS = ("tty",)
"""FFmpeg plays a text file as a film of a terminal; nobody who gives one means that."""


class BrokenOff(Exception):
    """Decoding cannot go on; the message says why."""


@dataclass(frozen=True, eq=False)
class DecodedFrame:
    """A frame as it is decoded.

    frame  its number, from 0
    time   seconds since the first frame
    end    seconds from the first frame until the next one is due
    image  in the video's own size and colours
    """

    frame: int
    time: float
    end: float
    image: VideoFrame


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its largest video stream. Raises MediaError."""
    if not os.path.isfile(path):
        raise MediaError(f"there is no file at {path}; give the path of a video file")
    try:
        # Absolute, as FFmpeg takes `a:b.mp4` for a protocol.
        container = av.open(str(path.absolute()), "r", **ANY_ENCODING)
    except av.FFmpegError as error:
        raise _no_video(path, str(error.strerror)) from error
    with container:
        if container.format.name in TEXT_FORMATS:
            raise _no_video(path, "it is text")
        stream = largest_stream(container)
        if stream is None:
            if any(video.codec_context is None for video in container.streams.video):
                raise MediaError(
                    f"{path.name} has a codec that this build of FFmpeg cannot decode; convert it to H.264"
                )
            kinds = ", ".join(sorted({"cover picture" if s.type == "video" else s.type for s in container.streams}))
            if not kinds:
                raise MediaError(f"{path.name} holds no streams; was its end, where an index may stand, cut off?")
            raise MediaError(f"{path.name} holds {kinds} streams but no video; give a file with a picture track")
        stream.thread_type = "AUTO"
        yield container, stream


def largest_stream(container: InputContainer) -> VideoStream | None:
    """The video stream of most pixels that is no cover picture; of equal ones the file's default, or the first."""
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None  # of a known codec
    ]
    return max(
        streams,
        key=lambda s: ((s.width or 0) * (s.height or 0), bool(s.disposition & Disposition.default)),
        default=None,
    )


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """All packets from where the container stands, then BrokenOff if an error or a cut ended them."""
    waiting: Packet[VideoStream] | None = None
    try:
        for packet in container.demux(stream):
            if waiting is not None:
                if waiting.is_corrupt and packet.size == 0:  # a read that met the end of the file
                    raise BrokenOff("the last packet is incomplete")
                yield waiting
            waiting = packet
    except av.FFmpegError as error:
        if waiting is not None and not waiting.is_corrupt:
            yield waiting
        raise BrokenOff(str(error.strerror)) from error


def decoded(found: Iterable[Packet[VideoStream]], stream: VideoStream, faults: list[str]) -> Iterator[VideoFrame]:
    """All frames that can be decoded, then BrokenOff if the packets broke off, or nothing came after a fault.

    Packets that are damaged are passed over, and what the decoder says of each is added to `faults`.
    """
    fault = ""
    try:
        for packet in found:
            try:
                images = stream.decode(packet)
            except av.FFmpegError as error:
                fault = str(error.strerror)
                faults.append(fault)
                continue
            if images:
                fault = ""
            yield from images
    except BrokenOff as broken:
        fault = str(broken)
    try:
        yield from stream.decode(None)  # what the decoder still holds back
    except av.FFmpegError as error:
        fault = fault or str(error.strerror)
    if fault:
        raise BrokenOff(fault)


def _no_video(path: Path, why: str) -> MediaError:
    return MediaError(
        f"{path.name} is not a video that can be decoded: {why}; give a file such as .mp4, .mov, .mkv or .webm"
    )


def deinterlaced(pictures: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
    """As many pictures as come, the interlaced ones made whole by FFmpeg's yadif; progressive ones are not touched.

    A result depends on its own picture and its two neighbours, so reading from the middle needs one picture more.
    """
    for _, alike in groupby(pictures, lambda one: (one.image.width, one.image.height, one.image.format.name)):
        yield from _deinterlaced(alike)


def _deinterlaced(pictures: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
    """The same of pictures of one size and kind. From the first interlaced one on they come one picture later."""
    graph: Graph | None = None
    before: DecodedFrame | None = None  # the last one that was given out as it is
    waiting: deque[DecodedFrame] = deque()

    def made() -> Iterator[DecodedFrame]:
        with suppress(BlockingIOError, EOFError):
            while graph is not None:
                image, picture = graph.vpull(), waiting.popleft()
                if picture is not before:
                    yield replace(picture, image=image)

    fault: BrokenOff | None = None
    try:
        for picture in pictures:
            if graph is None and not picture.image.interlaced_frame:
                before = picture
                yield picture
                continue
            coming = [picture]
            if graph is None:
                graph = _yadif(picture.image)
                coming = [picture] if before is None else [before, picture]
            for one in coming:
                waiting.append(one)
                graph.vpush(one.image)
            yield from made()
    except BrokenOff as broken:
        fault = broken
    if graph is not None:
        graph.vpush(None)
        yield from made()
    if fault is not None:
        raise fault


def _yadif(like: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=like.time_base)
    graph.link_nodes(source, graph.add("yadif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph
