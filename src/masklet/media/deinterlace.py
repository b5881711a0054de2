"""Interlaced frames become whole pictures: FFmpeg's yadif, which looks at the frame before and the one after."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from av.filter import Graph
from av.video.frame import VideoFrame

from masklet.media.container import BrokenOff, DecodedFrame


def deinterlaced(pictures: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
    """As many pictures as come, the interlaced ones made whole; progressive ones are not touched.

    A result depends on its own picture and its two neighbours, so reading from the middle needs one picture more.
    """
    filtering: _Yadif | None = None
    before: DecodedFrame | None = None
    fault: BrokenOff | None = None
    try:
        for picture in pictures:
            if filtering is not None and not filtering.takes(picture):
                yield from filtering.finish()
                filtering = before = None
            if filtering is None and not picture.image.interlaced_frame:
                before = picture
                yield picture
                continue
            if filtering is None:
                filtering = _Yadif(picture.image)
                if before is not None and filtering.takes(before):
                    filtering.prime(before)
            yield from filtering.push(picture)
    except BrokenOff as broken:
        fault = broken
    if filtering is not None:
        yield from filtering.finish()
    if fault is not None:
        raise fault


class _Yadif:
    """A filter graph; pictures come out in the order in which they went in, one picture later."""

    def __init__(self, like: VideoFrame) -> None:
        self._form = (like.width, like.height, like.format.name)
        self._waiting: deque[DecodedFrame | None] = deque()
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=like.width, height=like.height, format=like.format, time_base=like.time_base
        )
        yadif = self._graph.add("yadif", "mode=send_frame:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(yadif)
        yadif.link_to(sink)
        self._graph.configure()

    def takes(self, picture: DecodedFrame) -> bool:
        """Whether a picture is of the size and kind that the graph was made for."""
        return (picture.image.width, picture.image.height, picture.image.format.name) == self._form

    def prime(self, before: DecodedFrame) -> None:
        """Show the graph a picture that was given out already."""
        self._waiting.append(None)
        self._graph.vpush(before.image)

    def push(self, picture: DecodedFrame) -> Iterator[DecodedFrame]:
        self._waiting.append(picture)
        self._graph.vpush(picture.image)
        yield from self._finished()

    def finish(self) -> Iterator[DecodedFrame]:
        """Give what is left; no picture may come afterwards."""
        self._graph.vpush(None)
        yield from self._finished()

    def _finished(self) -> Iterator[DecodedFrame]:
        while True:
            try:
                made = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            picture = self._waiting.popleft()
            if picture is not None:
                yield replace(picture, image=made)
