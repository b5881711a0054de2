"""What a person did to a session, in order. The log alone rebuilds the session."""

from __future__ import annotations

from dataclasses import dataclass

from masklet.prompts import Prompt
from masklet.video.state import ObjectId


@dataclass(frozen=True)
class Prompted:
    """A prompt on a frame, whole: earlier clicks on the frame are in it."""

    frame: int
    object: ObjectId
    prompt: Prompt


@dataclass(frozen=True)
class Cleared:
    """The prompt on a frame was taken back."""

    frame: int
    object: ObjectId


@dataclass(frozen=True)
class Removed:
    """An object was removed with all that is known of it."""

    object: ObjectId


@dataclass(frozen=True)
class Locked:
    """A frame was approved: its masks stay, and are always remembered."""

    frame: int


@dataclass(frozen=True)
class Followed:
    """Objects were followed from one frame to another, both included; backward if `last` is the earlier.

    `apart` tells one of the two passes of `direction="both"`.
    """

    first: int
    last: int
    backward: bool
    only: ObjectId | None
    apart: bool = False


Event = Prompted | Cleared | Removed | Locked | Followed
