"""The three questions where trackers differ. A policy is the only place of such decisions.

A policy keeps nothing to itself: what it has to know of an object stands in the object's track, so that undo, saving,
streams and batches need no further care. It looks at the past alone: at frames behind the one in question, in the
direction in which the video is followed, and at prompted ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from masklet.nn import Decoded
from masklet.video.recall import Recall
from masklet.video.state import MemoryEntry, ObjectTrack


class Choice(NamedTuple):
    """Which of the four candidates of N objects count, (N,) int64 each."""

    masks: Tensor
    pointers: Tensor


class Kept(NamedTuple):
    """What becomes of a new entry.

    Attributes:
        remembered: Whether later frames may recall it as one of the recent ones.
        held: Frames that stay known from here on, however far they fall behind. Only the new frame, frames that were
            held before, and frames within the policy's window can be held.
    """

    remembered: bool
    held: tuple[int, ...] = ()


class MemoryPolicy(Protocol):
    """Choose, keep, recall."""

    @property
    def window(self) -> int:
        """How many frames back a tracked frame may be looked at if it is not held; a stream forgets older ones."""

    @property
    def most_held(self) -> int:
        """How many frames are held at most."""

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

    def keep(self, track: ObjectTrack, entry: MemoryEntry, rivals: Tensor) -> Kept:
        """Whether a tracked frame is remembered, and what is held from it on. Not asked about prompted frames: these
        are always remembered, and what was held before them stays so.

        Args:
            track: What is known of the object, without the entry.
            entry: The new entry.
            rivals: (R, S/4, S/4) logits of the other candidates for an ambiguous prompt.
        """

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        """What a frame attends of an object, when the video is followed forward or backward."""
