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
    """Read through all packets of a container that was just opened; None where their times tell no order.

    first_pts  the time of the first frame that a decoder gives: it drops what needs packets from before the start
    """
    times: list[int] = []
    keys: list[int] = []
    fault = None
    try:
        for packet in packets(container, stream):
            if first_pts is None or packet.pts is None:
                return None
            if packet.is_keyframe:
                keys.append(packet.pts)
            if not packet.is_discard and _is_shown(packet) and packet.pts >= first_pts:
                times.append(packet.pts)
    except BrokenOff as broken:
        fault = str(broken)
    pts = np.sort(np.array(times, np.int64), kind="stable")
    key_pts = np.unique(np.array(keys, np.int64))
    key_frames = np.searchsorted(pts, key_pts)
    inside = key_frames < len(pts)
    if not inside.any() or pts[0] != first_pts or key_frames[0] != 0:
        return None
    return FrameIndex(pts, key_pts[inside], key_frames[inside], fault)


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
    """The number of a picture by its time: the one that is due or, if it `skips`, a later one.

    Raises IndexMismatch if it has neither time.
    """
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
