"""Where two passes meet: following in both directions, so that no frame hears of a prompt twice.

Each of the two passes attends prompted frames and what it found itself, never what the other found: this learned from
prompts that lie in the first one's future, which it attends already. Of a frame that both come to, the better answer
stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from masklet.video.events import Event, Followed
from masklet.video.result import logit, probability
from masklet.video.session import Tracks, tracked
from masklet.video.state import Entries, MemoryEntry, ObjectId, ObjectTrack, Sighting


def one_way(track: ObjectTrack, *, backward: bool) -> ObjectTrack:
    """The object as a pass sees it: without what was found in the other direction."""
    return replace(track, tracked=OneWay(track.tracked, backward))


def joined(tracks: Tracks, found: Mapping[ObjectId, MemoryEntry]) -> Tracks:
    """With what one of the two passes found of objects in a frame.

    Going backward, which comes first, takes the frame anew. Going forward leaves what was found backward where that is
    better.
    """
    return {**tracks, **{name: better(tracks[name], entry) for name, entry in found.items()}}


def better(track: ObjectTrack, entry: MemoryEntry) -> ObjectTrack:
    """The object with one more frame, or as it is where what was found backward is trusted more."""
    known = None if entry.backward else found_backward(track, entry.frame)
    if known is None or trust(track, known) <= trust(track, entry):
        return tracked(track, entry)
    return track


def found_backward(track: ObjectTrack, frame: int) -> Sighting | None:
    """What was found of a frame going backward, also before the session was saved; None if nothing was."""
    if frame in track.tracked:
        seen = track.tracked.sighting(frame)
        return seen if seen.backward else None
    if frame in track.saved and frame in track.saved_backward:
        mask = track.saved[frame]
        return Sighting(frame, iou=mask.iou, presence=logit(mask.presence), attended=True, backward=True)
    return None


def backward_frames(events: Sequence[Event], name: ObjectId) -> frozenset[int]:
    """Frames into which an object was followed backward last, by the log of a session."""
    frames: set[int] = set()
    for event in events:
        if isinstance(event, Followed) and event.only in (None, name):
            first, last = sorted((event.first, event.last))
            span = range(first, last + 1)
            frames = frames.union(span) if event.backward else frames.difference(span)
    return frozenset(frames)


def trust(track: ObjectTrack, entry: Sighting) -> float:
    """0..1: the model's certainty of what it says, divided by one more than the frames since the prompt from which it
    was followed. The certainty of a visible object is its presence times its predicted IoU, that of an absent one the
    probability that it is not there."""
    ahead = [f - entry.frame if entry.backward else entry.frame - f for f in track.prompted]
    behind = [distance for distance in ahead if distance >= 0]
    if not behind:
        return 0.0
    presence = probability(entry.presence)
    certainty = presence * entry.iou if presence > 0.5 else 1 - presence
    return certainty / (1 + min(behind))


class OneWay(Entries):
    """Those of some entries that were found in one direction."""

    def __init__(self, entries: Entries, backward: bool) -> None:
        self._entries = entries
        self._backward = backward

    def __getitem__(self, frame: int) -> MemoryEntry:
        self.sighting(frame)
        return self._entries[frame]

    def __contains__(self, frame: object) -> bool:
        return frame in self._entries and self._entries.sighting(frame).backward == self._backward  # type: ignore[arg-type]

    def sighting(self, frame: int) -> Sighting:
        if frame not in self:
            raise KeyError(frame)
        return self._entries.sighting(frame)

    def __iter__(self) -> Iterator[int]:
        return (frame for frame in self._entries if frame in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def adding(self, entry: MemoryEntry) -> OneWay:
        return OneWay(self._entries.adding(entry), self._backward)

    def without(self, frame: int) -> OneWay:
        return OneWay(self._entries.without(frame), self._backward)

    def nothing(self) -> OneWay:
        return OneWay(self._entries.nothing(), self._backward)
