"""The three questions where trackers differ. A policy is the only place of such decisions.

A policy keeps nothing to itself: what it has to know of an object stands in the object's track, so that undo, saving,
streams and batches need no further care. It looks at the past alone: at frames behind the one in question, in the
direction in which the video is followed, and at prompted ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from masklet.nn import Decoded
from masklet.video.recall import Recall
from masklet.video.state import KnownFrame, ObjectTrack


class Choice(NamedTuple):
    """Which of the four candidates of N objects count, (N,) int64 each."""

    masks: Tensor
    pointers: Tensor


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
        self, decoded: Decoded, points: Tensor, tracks: Sequence[ObjectTrack], frame: int, *, backward: bool
    ) -> Choice:
        """Which candidates count.

        Args:
            decoded: The candidates of N objects.
            points: (N,) how many points each prompt has, a box's corners counted; 0 without a prompt.
            tracks: What is known of the N objects.
            frame: The frame that was decoded.
            backward: Whether the video is followed towards its beginning.
        """

    def keep(self, track: ObjectTrack, known: KnownFrame, rivals: Tensor) -> tuple[int, ...]:
        """The anchors from a tracked frame on: frames that stay known, however far they fall behind. Only the new
        frame, anchors before it, and frames within the window can be anchors. Not asked about prompted frames: these
        stay known, and anchors before them stay anchors.

        Args:
            track: What is known of the object, without the new frame.
            known: The new frame.
            rivals: (R, S/4, S/4) logits of the other candidates for an ambiguous prompt.
        """

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        """What a frame attends of an object, when the video is followed forward or backward."""


class PolicyForSlots(Protocol):
    """What a name of a policy stands for: a class, or anything else that gives a policy for a model."""

    def for_slots(self, slots: int) -> MemoryPolicy:
        """The policy for a model with so many temporal slots."""
