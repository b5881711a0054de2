"""Where two passes meet: following in both directions, so that no frame hears of a prompt twice.

Each of the two passes attends prompted frames and what it found itself, never what the other found: this learned from
prompts that lie in the first one's future, which it attends already. Of a frame that both come to, the better answer
stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from masklet.video.result import probability
from masklet.video.session import tracked
from masklet.video.state import FrameStats, KnownFrame, KnownFrames, ObjectId, ObjectTrack, Tracks


def one_way(track: ObjectTrack, *, backward: bool) -> ObjectTrack:
    """The object as a pass sees it: without what was found in the other direction."""
    return replace(track, tracked=OneWay(track.tracked, backward))


def joined(tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
    """With what one of the two passes found of objects in a frame.

    Going backward, which comes first, takes the frame anew. Going forward leaves what was found backward where that is
    better.
    """
    return {**tracks, **{name: better(tracks[name], entry) for name, entry in found.items()}}


def better(track: ObjectTrack, entry: KnownFrame) -> ObjectTrack:
    """The object with one more frame, or as it is where what was found backward is trusted more."""
    known = None if entry.backward else found_backward(track, entry.frame)
    if known is None or trust(track, known) <= trust(track, entry):
        return tracked(track, entry)
    return track


def found_backward(track: ObjectTrack, frame: int) -> FrameStats | None:
    """What was found of a frame going backward; None if nothing was."""
    stats = track.tracked.stats(frame)
    return stats if stats is not None and stats.backward else None


def trust(track: ObjectTrack, entry: FrameStats) -> float:
    """0..1: the model's certainty, divided by one more than the frames since the prompt from which it was followed."""
    ahead = [f - entry.frame if entry.backward else entry.frame - f for f in track.prompted]
    behind = [distance for distance in ahead if distance >= 0]
    if not behind:
        return 0.0
    return certainty(entry) / (1 + min(behind))


def certainty(entry: FrameStats) -> float:
    """0..1: how sure the model is. Of a visible object its presence times its predicted IoU, of an absent one the
    probability that it is not there."""
    presence = probability(entry.presence)
    return presence * entry.iou if presence > 0.5 else 1 - presence


class OneWay(KnownFrames):
    """Those of some frames that were found in one direction."""

    def __init__(self, frames: KnownFrames, backward: bool) -> None:
        self._frames = frames
        self._backward = backward

    def __getitem__(self, frame: int) -> KnownFrame:
        if frame not in self:
            raise KeyError(frame)
        return self._frames[frame]

    def __contains__(self, frame: object) -> bool:
        return self.stats(frame) is not None  # type: ignore[arg-type]

    def stats(self, frame: int) -> FrameStats | None:
        stats = self._frames.stats(frame)
        return stats if stats is not None and stats.backward == self._backward else None

    def whole(self, frame: int) -> KnownFrame:
        return self._frames.whole(frame)

    def __iter__(self) -> Iterator[int]:
        return (frame for frame in self._frames if frame in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def adding(self, known: KnownFrame) -> OneWay:
        return OneWay(self._frames.adding(known), self._backward)

    def without(self, frame: int) -> OneWay:
        return OneWay(self._frames.without(frame), self._backward)

    def nothing(self) -> OneWay:
        return OneWay(self._frames.nothing(), self._backward)
