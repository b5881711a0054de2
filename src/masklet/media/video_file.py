"""A video file, read through PyAV as it is decoded: memory does not grow with the video's length. Frames are found by
their number, by jumps where the file allows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from itertools import chain, dropwhile
from os import PathLike
from pathlib import Path
from threading import RLock

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.footage import Footage
from masklet.media.container import BrokenOff, DecodedFrame, decoded, deinterlaced, opened_video, packets
from masklet.media.display import display_of, shown_deep, shown_picture
from masklet.media.frames import Frame, FrameSource, check_frame, no_such_frame

JUMP_COST = 32
"""So many frames are decoded and dropped rather than jumped over: a jump costs about as much."""

KEPT_BYTES = 64 * 2**20
"""Most bytes of decoded pictures that are kept, so that going backward does not decode all again at each step."""

RESTART_SECONDS = 0.1
"""Seconds by which times go back where a stream begins anew: those of its frames then follow on the last one's."""

KEYS_TRIED = 4
"""Keys that are tried, going backward. Some are none: after an intra refresh, pictures build up over many frames."""

MAX_LEADING = 32
"""Packets after a key that may be shown before it: twice what any codec's reordering needs."""

Numbered = tuple[int, VideoFrame]
"""A frame's number and its picture."""


class VideoFile(FrameSource):
    """Frames of a video file's largest video stream: upright, in square pixels, of whole pictures, of 8 bits.

    Opening decodes the first frame alone, to know that the file can be read, and how it is to be shown.
    Frames whose size changes on the way are scaled to the first one's. Reading from the first frame on needs
    nothing else; the first jump reads the packets' times through, once, for an index of the frames.

    Raises MediaError, when opened, if the file is missing, is no video, or has no frame that can be decoded.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.name = self.path.name
        with opened_video(self.path) as (container, stream):
            try:
                first = next(decoded(packets(container, stream), stream, []))
            except (StopIteration, BrokenOff):
                raise MediaError(
                    f"{self.name} holds no frame that can be decoded; is the file complete? Give another copy"
                ) from None
            self._display = display = display_of(stream, first)
            rate, clock = stream.average_rate or stream.guessed_rate, stream.time_base
            self._promised = promised(container, stream)
            timecode = timecode_of(container)
            self.frame_count = stream.frames or None  # not exact: it includes frames that never come
        self.size, self.rate = display.size, float(rate) if rate else None
        if self.frame_count is None and self._promised and self.rate:
            self.frame_count = max(1, round(self._promised * self.rate))
        deep = self._deep if display.bits > 8 else None
        self.footage = Footage(display.colours, display.bits, timecode, clock, deep)
        self._tick = float(clock or 0)  # seconds of a tick of the stream's clock
        self._first_pts = first.pts
        self._interlaced = bool(first.interlaced_frame)
        self._faults: list[str] = []
        self._lost: set[int] = set()
        self._index: FrameIndex | None = None
        self._index_sought = False
        self._pass: list[int | None] = []  # the times of the frames of a pass, as far as one came without a fault
        # Single pictures: the container that is kept open, the run that is under way, and pictures that are kept.
        self._lock = RLock()
        self._file = ExitStack()
        self._jumping: tuple[InputContainer, VideoStream] | None = None
        self._run: Iterator[DecodedFrame] | None = None
        self._next = 0  # the frame that the run gives next
        self._kept: dict[int, DecodedFrame] = {}
        self._most_kept = 2

    def __len__(self) -> int:
        """The number of frames. Raises TypeError if it takes decoding all of them."""
        if not self.frame_count_exact:
            self._count()
        if self.frame_count is None or not self.frame_count_exact:
            raise TypeError(f"the number of frames of {self.name} is not known before they are all read")
        return self.frame_count

    def __bool__(self) -> bool:
        return True  # for there is one frame at least, and to count them takes a while

    @property
    def lost(self) -> list[int]:
        """The frames, of those read so far, that are damaged beyond decoding; they show the picture before them."""
        return sorted(self._lost)

    @property
    def timestamps(self) -> NDArray[np.float64] | None:
        """Seconds since the first frame, (T,), of a variable rate too; None if the file has no times."""
        self._check_open()
        index = self._sought_index()
        return None if index is None else (index.pts - index.pts[0]) * self._tick

    def read(self, frame: int) -> Frame:
        """One frame. One near to the last that was read, before it or after it, costs least."""
        check_frame(frame, None)
        self._check_open()
        if frame >= JUMP_COST and self._count():
            check_frame(frame, self.frame_count)
        why = None
        try:
            with self._lock:
                picture = self._single(frame)
        except BrokenOff as broken:
            picture, why = None, f"{self.name} breaks off: {broken}"
        if picture is None:
            self._count()
            raise no_such_frame(frame, self.frame_count, why)
        return self._frame(picture)

    def close(self) -> None:
        """Iterations that are under way end at their next frame; later ones raise MediaError."""
        self._closed = True
        with self._lock:
            self._run = self._jumping = None
            self._kept.clear()
            self._file.close()

    def _frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        before, self.ended_early = self.ended_early, None
        if stop is not None and stop <= start:
            return
        last, end, fault = start - 1, 0.0, ""
        try:
            for picture in self._pictures(start):
                if self._closed:
                    return
                last, end = picture.frame, picture.end
                yield self._frame(picture)
                if last + 1 == stop:
                    return
        except BrokenOff as broken:
            fault = str(broken)
        if end:  # where nothing came, the end lies before the start
            self.frame_count, self.frame_count_exact = last + 1, True
            self.ended_early = self._ended_early(last, end, fault)
        elif fault:
            self.ended_early = before or f"{self.name} breaks off before frame {start}: {fault}"

    def _ended_early(self, last: int, end: float, fault: str) -> str | None:
        """A sentence if decoding failed on the way, or the frames end two or more before the promised end."""
        promised, tolerance = self._promised, 2 / self.rate if self.rate else 0.1
        if not fault and promised is not None and end < promised - tolerance:
            fault = "the file has no more"
        if not fault:
            return None
        of = f" of {promised:.2f} s" if promised else ""
        return f"{self.name} breaks off after frame {last} ({end:.2f} s{of}): {fault}"

    def _deep(self, start: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """Pictures in the file's own depth and colours, for films; also once this is closed."""
        with suppress(BrokenOff):
            for picture in self._pictures(start):
                yield picture.frame, shown_deep(picture.image, self._display)

    def _frame(self, picture: DecodedFrame) -> Frame:
        return Frame(picture.frame, picture.time, shown_picture(picture.image, self._display))

    def _count(self) -> bool:
        """Take the number of frames from the index; False if there is none."""
        index = self._sought_index()
        if index is not None:
            self.frame_count, self.frame_count_exact = len(index.pts), True
        return index is not None

    def _sought_index(self) -> FrameIndex | None:
        """Where each frame is: made when first asked for. None if the packets' times don't tell."""
        with self._lock:
            if not self._index_sought:
                with opened_video(self.path) as (container, stream):
                    index = build_index(container, stream, self._first_pts)
                agrees = index is not None and index.pts[: len(self._pass)].tolist() == self._pass
                self._index, self._index_sought = index if agrees else None, True
            return self._index

    def _distrust_index(self) -> None:
        """From now on, frames are found by counting: they came otherwise than the index says."""
        with self._lock:
            self._index, self._index_sought = None, True
            self._run = None
            self._kept.clear()

    def _single(self, frame: int) -> DecodedFrame | None:
        """A frame's picture, None past the end. Raises BrokenOff if the video breaks off before it."""
        if frame in self._kept:
            return self._kept[frame]
        run, ahead = self._run, frame - self._next
        if (
            run is None or ahead < 0 or (ahead >= JUMP_COST and self._key_frame(frame) > self._next)
        ):  # a jump is shorter
            self._kept.clear()
            run = self._pictures(frame if ahead >= 0 else max(0, frame - self._most_kept + 1), single=True)
        self._run = None
        for picture in run:
            if not self._kept:
                size = sum(plane.buffer_size for plane in picture.image.planes)
                self._most_kept = min(JUMP_COST, max(2, KEPT_BYTES // size))
            self._kept[picture.frame] = picture
            self._next = picture.frame + 1
            if len(self._kept) > self._most_kept:
                del self._kept[next(iter(self._kept))]
            if picture.frame == frame:
                self._run = run
                return picture
        return None

    def _key_frame(self, frame: int) -> int:
        """The frame with which decoding must begin to arrive at a frame."""
        index = self._sought_index()
        return 0 if index is None else int(index.key_frames[index.key_before(frame)])

    def _pictures(self, start: int, single: bool = False) -> Iterator[DecodedFrame]:
        """All pictures from a frame on: by a container of their own, or by that for `single` ones where they jump.
        Raises BrokenOff."""
        due = start
        index = self._sought_index() if start >= JUMP_COST else self._index if single else None
        if index is not None:
            try:
                with self._opened(single) as (container, stream):
                    whole = self._whole(start, lambda at: frames_from(container, stream, index, at, self._faults))
                    for picture in whole:
                        yield picture
                        due = picture.frame + 1
                return
            except IndexMismatch:
                self._distrust_index()
        with opened_video(self.path) as (container, stream):
            yield from self._whole(due, lambda _: self._counting(container, stream))

    def _opened(self, single: bool) -> AbstractContextManager[tuple[InputContainer, VideoStream]]:
        if not single:
            return opened_video(self.path)
        self._jumping = self._jumping or self._file.enter_context(opened_video(self.path))
        return nullcontext(self._jumping)

    def _counting(self, container: InputContainer, stream: VideoStream) -> Iterator[Numbered]:
        """All frames from the first on: counted, and placed by the index once some are lost."""
        period = max(1, round(1 / (self.rate * self._tick))) if self.rate and self._tick else 1
        due, last, shift = 0, None, 0
        for image in decoded(packets(container, stream), stream, self._faults):
            index = self._sought_index() if self._faults else self._index
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
                    step = 0 if (last - image.pts) * self._tick < RESTART_SECONDS else image.duration or period
                    shift += step and last + step - image.pts
                    image.pts = last + step
                last = image.pts
            yield due, image
            due += 1
        if self._index is not None and not self._faults and due != len(self._index.pts):
            self._distrust_index()

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

    def _filled(self, run: Iterator[Numbered]) -> Iterator[Numbered]:
        """All numbers: where one is left out, the picture before it is shown once more, as players do."""
        last: Numbered | None = None
        for frame, image in run:
            if last is not None:
                for lost in range(last[0] + 1, frame):
                    self._lost.add(lost)
                    yield lost, last[1]
            last = frame, image
            yield last

    def _picture(self, frame: int, image: VideoFrame) -> DecodedFrame:
        period = 1 / self.rate if self.rate else 0.0
        time = frame * period if image.pts is None else (image.pts - (self._first_pts or 0)) * self._tick
        return DecodedFrame(frame, time, time + ((image.duration or 0) * self._tick or period), image)


def promised(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds of the video by its header. Those of the whole container are taken only if no sound may outlast it."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def timecode_of(container: InputContainer) -> str | None:
    """The timecode at which a file begins, as cameras and editors write it, or None."""
    for holder in (*container.streams, container):
        for name, text in holder.metadata.items():
            if name.lower() == "timecode" and re.fullmatch(r"\d\d:\d\d:\d\d[:;.]\d\d", text):
                return text.replace(".", ";")
    return None


class IndexMismatch(Exception):
    """The frames that come are not those of the index."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Where each frame of a video stream is, in the order in which they are shown: made from the packets' times alone.

    A decoder gives out frames in the order of their times, whatever the order of the packets. So frame n is the
    packet with the n-th time, and decoding from the last key frame before it, in that order, arrives at it. The
    files that break this rule are found out, as the time of each decoded frame is compared with the index.

    pts        (T,) their times in ticks, ascending; equal ones stand in the order of their packets
    key_pts    (K,) the times of the packets that decoding can begin with, ascending
    key_frames (K,) the first frame that is shown from each of these on
    fault      why the file ends early, or None
    """

    pts: NDArray[np.int64]
    key_pts: NDArray[np.int64]
    key_frames: NDArray[np.int64]
    fault: str | None

    def key_before(self, frame: int) -> int:
        """The number of the last key, 0 to K - 1, from which decoding arrives at a frame."""
        return int(np.searchsorted(self.key_frames, frame, side="right")) - 1


def build_index(container: InputContainer, stream: VideoStream, first_pts: int | None) -> FrameIndex | None:
    """Read through all packets of a container that was just opened; None if their times give no order.

    first_pts  the time of the first frame that a decoder gives: it drops what needs packets from before the start
    """
    times: list[int] = []
    decoding: list[int] = []
    keys: list[tuple[int, int]] = []
    fault = None
    try:
        for packet in packets(container, stream):
            if first_pts is None or packet.pts is None:
                return None
            if packet.dts is not None:
                decoding.append(packet.dts)
            if packet.is_keyframe:
                keys.append((len(times), packet.pts))
            if not packet.is_discard and _is_shown(packet) and packet.pts >= first_pts:
                times.append(packet.pts)
    except BrokenOff as broken:
        fault = str(broken)
    if not times or not keys:
        return None
    pts, (places, key_pts) = np.array(times, np.int64), np.array(keys, np.int64).T
    if np.any(np.diff(decoding) < 0) or not _in_order(pts, places, key_pts):
        return None
    order = np.argsort(pts, kind="stable")
    numbers = np.empty(len(pts) + 1, np.int64)
    numbers[order], numbers[-1] = np.arange(len(pts)), len(pts)
    shown = np.append(pts, -1)[places] == key_pts  # what an edit list hides is decoded, but no frame
    key_frames = np.where(shown, numbers[places], np.searchsorted(pts[order], key_pts))
    inside = key_frames < len(pts)
    if pts[order[0]] != first_pts or not inside.any() or key_frames[0] != 0:
        return None
    return FrameIndex(pts[order], key_pts[inside], key_frames[inside], fault)


def _in_order(pts: NDArray[np.int64], places: NDArray[np.int64], key_pts: NDArray[np.int64]) -> bool:
    """Whether a decoder gives out frames by their times: `pts` (T,) of the packets in the order of decoding, `places`
    (K,) of the keys among them, and their times (K,). Where streams were joined, times begin anew; others repeat."""
    if np.any(np.diff(key_pts) <= 0):
        return False
    latest = np.maximum.accumulate(pts)
    behind = places > 0
    if np.any(latest[places[behind] - 1] > key_pts[behind]):
        return False
    # What is shown before a key but decoded after it lies near to it, and is shown after the key before.
    packets = np.arange(places[0], len(pts))
    key = np.searchsorted(places, packets, side="right") - 1
    leading = packets - places[key] <= MAX_LEADING
    return bool(np.all(pts[packets] >= key_pts[np.where(leading, np.maximum(key - 1, 0), key)]))


def frames_from(
    container: InputContainer, stream: VideoStream, index: FrameIndex, frame: int, faults: list[str]
) -> Iterator[Numbered]:
    """Jump, and decode from the last key at or before `frame` to the end: (number, picture), some numbers before it.

    Numbers are left out where the decoder met damage, which goes to `faults`. Raises IndexMismatch when the
    frames that come are not those of the index, and BrokenOff.
    """
    last = index.key_before(frame)
    for key in range(last, max(last - KEYS_TRIED, -1), -1):
        came = _aligned(container, stream, index, key, faults)
        first = next(came, None)
        if first is not None and first[0] <= frame:  # else the decoder needed more before this key: take one earlier
            yield first
            yield from came
            return
    raise IndexMismatch


def placed(index: FrameIndex, due: int, image: VideoFrame, skips: bool) -> int:
    """The number of a picture by its time: the one that is due or, if it `skips`, a later one; else IndexMismatch."""
    if image.pts is None:
        raise IndexMismatch
    if skips and due < len(index.pts) and index.pts[due] != image.pts:
        due = max(due, int(np.searchsorted(index.pts, image.pts)))
    if due >= len(index.pts) or index.pts[due] != image.pts:
        raise IndexMismatch
    return due


def _aligned(
    container: InputContainer, stream: VideoStream, index: FrameIndex, key: int, faults: list[str]
) -> Iterator[Numbered]:
    """Frames decoded from a key on, numbered by their times."""
    due = first = int(index.key_frames[key])
    images = decoded(_packets_from(container, stream, index, key), stream, faults)
    # Pictures before the key are shown before it but need what was decoded earlier: they are damaged.
    for image in dropwhile(lambda image: image.pts is not None and image.pts < index.pts[first], images):
        frame = placed(index, due, image, skips=due == first or bool(faults))
        yield frame, image
        due = frame + 1


def _packets_from(
    container: InputContainer, stream: VideoStream, index: FrameIndex, key: int
) -> Iterator[Packet[VideoStream]]:
    """Packets from a key on. Where a seek lands is up to the container, so what comes before the key is passed over."""
    key_pts = int(index.key_pts[key])
    second = round(1 / stream.time_base) if stream.time_base else 1
    for landing in (key_pts, key_pts - second, int(index.key_pts[max(0, key - 1)]), int(index.pts[0]) - 60 * second):
        try:
            container.seek(landing, stream=stream, backward=True)
        except av.FFmpegError:
            continue
        found = False
        for packet in packets(container, stream):
            if not found and packet.is_keyframe and packet.pts is not None and packet.pts > key_pts:
                break  # landed too late
            found = found or (packet.is_keyframe and packet.pts == key_pts)
            if found:
                yield packet
        if found:
            return
    raise IndexMismatch


def _is_shown(packet: Packet[VideoStream]) -> bool:
    """VP8 has packets that only later ones refer to: bit 4 of the first byte is their `show_frame` (RFC 6386, 9.1)."""
    if packet.stream.codec_context.name != "vp8":
        return True
    return packet.size > 0 and bool(bytes(packet)[0] & 0x10)
