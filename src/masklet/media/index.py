"""Where each frame of a video file is: made from the packets' times alone, without decoding.

A decoder gives out frames in the order of their times, whatever the order of the packets. So frame n is the
packet with the n-th time, and decoding from the last key frame before it, in that order, arrives at it. The
files that break this rule are found out, as the time of each decoded frame is compared with the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.media.container import BrokenOff, decoded, packets

Numbered = tuple[int, VideoFrame]
"""A frame's number and its picture."""


class IndexMismatch(Exception):
    """The frames that come are not those of the index."""


TRIED = 4
"""Keys that are tried, going backward. Some are none: after an intra refresh, pictures build up over many frames."""

MOST_LEADING = 32
"""Packets after a key that may be shown before it: twice what any codec's reordering needs."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a video stream in the order in which they are shown.

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
    leading = packets - places[key] <= MOST_LEADING
    return bool(np.all(pts[packets] >= key_pts[np.where(leading, np.maximum(key - 1, 0), key)]))


def frames_from(
    container: InputContainer, stream: VideoStream, index: FrameIndex, frame: int, faults: list[str]
) -> Iterator[Numbered]:
    """Jump, and decode from the last key at or before `frame` to the end: (number, picture), some numbers before it.

    Numbers are left out where the decoder met damage, which goes to `faults`. Raises IndexMismatch when the
    frames that come are not those of the index, and BrokenOff.
    """
    last = index.key_before(frame)
    for key in range(last, max(last - TRIED, -1), -1):
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
