"""The three questions where trackers differ. A policy is the only place of such decisions.

A policy keeps nothing to itself: what it has to know of an object stands in the object's track, so that undo, saving,
streams and batches need no further care. It looks at the past alone: at frames behind the one in question, in the
direction in which the video is followed, and at prompted ones. The functions below find these frames by their stats, so
that nothing is read from files. Arrays are of the engine's kind, see `masklet.engines.arrays`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from masklet.engines.arrays import Array
from masklet.nn import Decoded
from masklet.video.recall import Recall
from masklet.video.state import FrameStats, KnownFrame, ObjectTrack


class Choice(NamedTuple):
    """Which of the four candidates of N objects count, (N,) int64 each."""

    masks: Array
    pointers: Array


@runtime_checkable
class MemoryPolicy(Protocol):
    """Choose, keep, recall."""

    @property
    def window(self) -> int:
        """How many frames back a tracked frame may be looked at if it is no anchor; a stream forgets older ones."""

    @property
    def most_anchors(self) -> int:
        """How many anchors there are at most."""

    def choose(
        self, decoded: Decoded, points: Array, tracks: Sequence[ObjectTrack], frame: int, *, backward: bool
    ) -> Choice:
        """Which candidates count.

        Args:
            decoded: The candidates of N objects.
            points: (N,) how many points each prompt has, a box's corners counted; 0 without a prompt.
            tracks: What is known of the N objects.
            frame: The frame that was decoded.
            backward: Whether the video is followed towards its beginning.
        """

    def keep(self, track: ObjectTrack, known: KnownFrame, rivals: Array) -> tuple[int, ...]:
        """The anchors from a tracked frame on: frames that stay known, however far they fall behind. Only the new
        frame, anchors before it, and frames within the window can be anchors. Not asked about prompted frames: these
        stay known, and anchors before them stay anchors.

        Args:
            track: What is known of the object, without the new frame.
            known: The new frame.
            rivals: (R, S/4, S/4) logits of the other candidates for an ambiguous prompt.
        """

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        """The frames of an object that a frame attends, when the video is followed forward or backward."""


class PolicyForSlots(Protocol):
    """The target of a policy's name: a class, or anything else that gives a policy for a model."""

    def for_slots(self, slots: int) -> MemoryPolicy:
        """The policy for a model with so many temporal slots."""


def before(track: ObjectTrack, frame: int, *, backward: bool) -> FrameStats | None:
    """The stats of the nearest known frame behind, or None."""
    near = track.remembered(frame + 1 if backward else frame - 1)
    if near is not None:
        return near
    behind = [f for f in (*track.prompted, *track.tracked) if (f > frame if backward else f < frame)]
    return next(
        (stats for f in sorted(behind, reverse=not backward) if (stats := track.remembered(f)) is not None), None
    )


def anchors_before(track: ObjectTrack, frame: int, *, backward: bool) -> tuple[int, ...]:
    """The anchors of the nearest known frame behind that are still known and not prompted by now; oldest first."""
    near = before(track, frame, backward=backward)
    return tuple(f for f in near.anchors if is_tracked(track, f)) if near is not None else ()


def recent(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> list[FrameStats]:
    """The stats of known frames among the `count` frames behind, newest first, without those where a person said that
    the object is absent."""
    behind = range(frame + 1, frame + 1 + count) if backward else range(frame - 1, frame - 1 - count, -1)
    stats = (track.remembered(f) for f in behind)
    return [known for known in stats if known is not None]


def recently_tracked(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> list[int]:
    """Which of the `count` frames behind the tracker answers for, and no person; newest first."""
    return [s.frame for s in recent(track, frame, count, backward=backward) if s.frame not in track.prompted]


def is_tracked(track: ObjectTrack, frame: int) -> bool:
    """Whether the tracker answers for a frame, and no person."""
    return frame not in track.prompted and track.remembered(frame) is not None
