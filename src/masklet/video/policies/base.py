"""The three questions where trackers differ. A policy is the only place of such decisions."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from masklet.nn import Decoded
from masklet.video.recall import Recall
from masklet.video.state import MemoryEntry, ObjectTrack


class Choice(NamedTuple):
    """Which of the four candidates of N objects count, (N,) int64 each."""

    masks: Tensor
    pointers: Tensor


class MemoryPolicy(Protocol):
    """Choose, keep, recall."""

    @property
    def window(self) -> int:
        """How many frames back a tracked frame may be recalled; a stream forgets older ones."""

    def choose(self, decoded: Decoded, points: Tensor) -> Choice:
        """Which candidates count. points (N,): how many points each prompt has, a box's corners counted."""

    def keep(self, entry: MemoryEntry) -> bool:
        """Whether a tracked frame is remembered."""

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        """What a frame attends of an object, when the video is followed forward or backward."""
