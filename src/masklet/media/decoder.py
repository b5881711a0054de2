"""The pictures of a video file, numbered: from any frame on, or one by one, by jumps where the file allows them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain, dropwhile
from pathlib import Path
from threading import RLock

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from masklet.errors import MediaError
from masklet.media.container import (
    BrokenOff,
    DecodedFrame,
    decoded,
    opened,
    packets,
    promised_seconds,
    seconds,
    timecode_of,
)
from masklet.media.deinterlace import deinterlaced
from masklet.media.display import display_of
from masklet.media.index import FrameIndex, IndexMismatch, Numbered, build_index, frames_from, placed

NEAR = 32
"""So many frames are decoded and dropped rather than jumped over: a jump costs about as much."""

KEPT_BYTES = 64 * 2**20
"""Most bytes of decoded pictures that are kept, so that going backward does not decode all again at each step."""

ANEW = 0.1
"""Seconds by which times go back where a stream begins anew: those of its frames then follow on the last one's."""


class Decoder:
    """Decodes one file's video stream. Opening decodes the first frame alone.

    display   how pictures are to be shown
    rate      frames a second, on average, or None
    promised  seconds that the header promises, or None
    stated    frames that the header counts, those that an edit list hides and empty ones among them, or None
    tick      seconds of a tick of the stream's clock
    clock     the same, exact, or None
    timecode  of the first frame, or None
    lost      frames, of those that were read, that cannot be decoded; the picture before them stands in

    Raises MediaError, when opened, if the file is missing, is no video, or has no frame that can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with opened(path) as (container, stream):
            try:
                first = next(decoded(packets(container, stream), stream, []))
            except (StopIteration, BrokenOff):
                raise MediaError(
                    f"{path.name} holds no frame that can be decoded; is the file complete? Give another copy"
                ) from None
            self.display = display_of(stream, first)
            rate = stream.average_rate or stream.guessed_rate
            self.rate = float(rate) if rate else None
            self.promised = promised_seconds(container, stream)
            self.stated = stream.frames or None
            self.tick = seconds(1, stream)
            self.clock = Fraction(stream.time_base) if stream.time_base else None
            self.timecode = timecode_of(container)
        self.lost: set[int] = set()
        self._faults: list[str] = []
        self._first_pts = first.pts
        self._interlaced = bool(first.interlaced_frame)
        self._index: FrameIndex | None = None
        self._index_sought = False
        self._pass: list[int | None] = []  # the times of the frames of a pass, as far as one came without a fault
        self._lock = RLock()
        self._file = ExitStack()
        self._jumping: tuple[InputContainer, VideoStream] | None = None
        self._cursor = Cursor(self._jump, self._key_frame)

    @property
    def index(self) -> FrameIndex | None:
        """Where each frame is: made when first asked for. None if the packets' times don't tell."""
        with self._lock:
            if not self._index_sought:
                with opened(self.path) as (container, stream):
                    index = build_index(container, stream, self._first_pts)
                agrees = index is not None and index.pts[: len(self._pass)].tolist() == self._pass
                self._index, self._index_sought = index if agrees else None, True
            return self._index

    def pictures(self, start: int) -> Iterator[DecodedFrame]:
        """All pictures from a frame on, by a container of their own. Raises BrokenOff."""
        due = start
        if start >= NEAR and (index := self.index) is not None:
            try:
                with opened(self.path) as (container, stream):
                    for picture in self._whole(
                        start, lambda at: frames_from(container, stream, index, at, self._faults)
                    ):
                        yield picture
                        due = picture.frame + 1
                return
            except IndexMismatch:
                self._distrust_index()
        yield from self._counted_from(due)

    def picture(self, frame: int) -> DecodedFrame | None:
        """One picture, None past the end. Raises BrokenOff if the video breaks off before it."""
        with self._lock:
            try:
                return self._cursor.picture(frame)
            except IndexMismatch:
                self._distrust_index()
                return self._cursor.picture(frame)

    def close(self) -> None:
        """Close the file that single pictures are read from; it would be opened again."""
        with self._lock:
            self._cursor = Cursor(self._jump, self._key_frame)
            self._jumping = None
            self._file.close()

    def _jump(self, start: int) -> Iterator[DecodedFrame]:
        """Pictures from a frame on, by the one container that is kept open for single pictures."""
        index = self._index if start < NEAR else self.index
        if index is None:
            return self._counted_from(start)
        if self._jumping is None:
            self._jumping = self._file.enter_context(opened(self.path))
        container, stream = self._jumping
        return self._whole(start, lambda at: frames_from(container, stream, index, at, self._faults))

    def _key_frame(self, frame: int) -> int:
        index = self.index
        return 0 if index is None else int(index.key_frames[index.key_before(frame)])

    def _distrust_index(self) -> None:
        """From now on, frames are found by counting: they came otherwise than the index says."""
        with self._lock:
            self._index, self._index_sought = None, True
            self._cursor = Cursor(self._jump, self._key_frame)

    def _counted_from(self, start: int) -> Iterator[DecodedFrame]:
        with opened(self.path) as (container, stream):
            yield from self._whole(start, lambda _: self._counting(container, stream))

    def _counting(self, container: InputContainer, stream: VideoStream) -> Iterator[Numbered]:
        """All frames from the first on: counted, and placed by the index once some are lost."""
        due, last, shift = 0, None, 0
        for image in decoded(packets(container, stream), stream, self._faults):
            index = self.index if self._faults else self._index
            if index is not None:
                try:
                    due = placed(index, due, image, skips=bool(self._faults))
                except IndexMismatch:
                    self._distrust_index()
            elif due == len(self._pass) and not self._faults:
                self._pass.append(image.pts)
            if image.pts is not None:
                image.pts += shift
                if last is not None and image.pts < last:
                    step = 0 if (last - image.pts) * self.tick < ANEW else image.duration or self._period()
                    shift += step and last + step - image.pts
                    image.pts = last + step
                last = image.pts
            yield due, image
            due += 1
        if self._index is not None and not self._faults and due != len(self._index.pts):
            self._distrust_index()

    def _period(self) -> int:
        return max(1, round(1 / (self.rate * self.tick))) if self.rate and self.tick else 1

    def _filled(self, run: Iterator[Numbered]) -> Iterator[Numbered]:
        """All numbers: where one is left out, the picture before it is shown once more, as players do."""
        last: Numbered | None = None
        for frame, image in run:
            if last is not None:
                for lost in range(last[0] + 1, frame):
                    self.lost.add(lost)
                    yield lost, last[1]
            last = frame, image
            yield last

    def _whole(self, start: int, run_from: Callable[[int], Iterator[Numbered]]) -> Iterator[DecodedFrame]:
        """Pictures from a frame on, the interlaced ones made whole, for which the one before is decoded too."""
        while True:
            run = self._filled(run_from(max(0, start - int(self._interlaced))))
            run = dropwhile(lambda numbered: numbered[0] < start - 1, run)
            first = next(run, None)
            if first is None:
                return
            frame, image = first
            if self._interlaced or not image.interlaced_frame or frame == 0 or frame < start:
                break
            self._interlaced = True
        for picture in deinterlaced(self._picture(*numbered) for numbered in chain([first], run)):
            if picture.frame >= start:
                yield picture

    def _picture(self, frame: int, image: VideoFrame) -> DecodedFrame:
        period = 1 / self.rate if self.rate else 0.0
        time = frame * period if image.pts is None else (image.pts - (self._first_pts or 0)) * self.tick
        return DecodedFrame(frame, time, time + ((image.duration or 0) * self.tick or period), image)


class Cursor:
    """A place in a video, moved by asking for pictures.

    run_from  gives the pictures from a frame to the end, in order
    key_frame the frame with which decoding must begin to arrive at a frame; not asked for frames nearby
    """

    def __init__(self, run_from: Callable[[int], Iterator[DecodedFrame]], key_frame: Callable[[int], int]) -> None:
        self._run_from = run_from
        self._key_frame = key_frame
        self._run: Iterator[DecodedFrame] | None = None
        self._next = 0  # the frame that the run gives next
        self._behind = 2  # pictures that are kept
        self._kept: dict[int, DecodedFrame] = {}

    def picture(self, frame: int) -> DecodedFrame | None:
        """A frame's picture, None past the end. Raises BrokenOff if the video breaks off before it."""
        if frame in self._kept:
            return self._kept[frame]
        if self._run is None or not self._arrives_at(frame):
            start = max(0, frame - self._behind + 1) if frame < self._next else frame
            self._kept.clear()
            self._run = self._run_from(start)
        try:
            for picture in self._run:
                self._keep(picture)
                if picture.frame == frame:
                    return picture
        except BrokenOff:
            self._run = None
            raise
        self._run = None
        return None

    def _arrives_at(self, frame: int) -> bool:
        """Whether going on is no longer than a jump."""
        return self._next <= frame and (frame < self._next + NEAR or self._key_frame(frame) <= self._next)

    def _keep(self, picture: DecodedFrame) -> None:
        if not self._kept:
            size = sum(plane.buffer_size for plane in picture.image.planes)
            self._behind = min(NEAR, max(2, KEPT_BYTES // size))
        self._kept[picture.frame] = picture
        self._next = picture.frame + 1
        while len(self._kept) > self._behind:
            del self._kept[next(iter(self._kept))]
