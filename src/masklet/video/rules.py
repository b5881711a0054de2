"""What a session makes of events: the functions of `session.py`, masklet's own rules, and of `reference.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from masklet.prompts import Prompt
from masklet.video.ranges import Direction, Range
from masklet.video.session import Tracks
from masklet.video.state import Entries, MemoryEntry, ObjectId, ObjectTrack


class Rules(Protocol):
    """Where masklet and the reference differ. Both modules say what their functions do."""

    def begun(self, tracked: Entries, number: int = 1) -> ObjectTrack:
        """An object of which nothing is known yet."""

    def asking(self, track: ObjectTrack, frame: int, prompt: Prompt) -> ObjectTrack:
        """The object as the network is asked about it, with a prompt on a frame."""

    def answered(self, track: ObjectTrack, prompt: Prompt, entry: MemoryEntry) -> ObjectTrack:
        """The object with a prompt and its answer."""

    def cleared(self, tracks: Tracks, frame: int, name: ObjectId) -> Tracks:
        """Without the prompt on a frame."""

    def settled(self, tracks: Tracks) -> Tracks:
        """The state when a pass begins."""

    def passes(
        self, tracks: Tracks, start: int | None, stop: int | None, direction: Direction, only: ObjectId | None
    ) -> Sequence[Range]:
        """The passes of a propagation. Raises `SessionError` if there is nothing to follow."""

    def to_follow(self, tracks: Tracks, frame: int, *, backward: bool, only: ObjectId | None) -> Tracks:
        """The objects that are to be followed into a frame."""

    def followed(
        self,
        tracks: Tracks,
        found: Mapping[ObjectId, MemoryEntry],
        frame: int,
        *,
        backward: bool,
        only: ObjectId | None,
    ) -> Tracks:
        """With what was found in a frame that a pass came to."""
