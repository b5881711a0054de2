"""Frames and objects as people name them, checked at the border."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Literal, get_args

from masklet.errors import MediaError, SessionError
from masklet.video.state import ObjectId

Direction = Literal["forward", "backward", "both"]
"""Which way a video is followed."""


@dataclass(frozen=True)
class Range:
    """Frames to follow, and in which direction.

    Attributes:
        first: The first frame.
        stop: The first frame that is left out; None is the end of the video.
        backward: Whether it goes towards the video's beginning.
        apart: Whether it is one of two passes that are kept apart and then joined; see `masklet.video.bidirectional`.
    """

    first: int
    stop: int | None
    backward: bool
    apart: bool = False

    @property
    def end(self) -> int | None:
        """The frame before which following ends; None if nothing but the video ends it."""
        return -1 if self.backward and self.stop is None else self.stop

    def after(self, frame: int) -> int:
        """The frame that follows a frame in this direction."""
        return frame - 1 if self.backward else frame + 1

    def check(self) -> None:
        """Raise `SessionError` if `stop` does not lie ahead."""
        if self.stop is None:
            return
        ahead = self.stop < self.first if self.backward else self.stop > self.first
        if not ahead:
            where, side = ("backward", "before") if self.backward else ("forward", "after")
            raise SessionError(
                f"stop is {self.stop} and following goes {where} from frame {self.first}; give a stop {side} it"
            )


def checked_direction(direction: str) -> None:
    """Raise `SessionError` for a direction that is none."""
    if direction not in get_args(Direction):
        raise SessionError(f"direction is {direction!r}; give 'forward', 'backward' or 'both'")


def checked_frame(frame: int) -> int:
    """A frame's number as an int. Raises `MediaError` for anything that is no whole number."""
    try:
        return operator.index(frame)
    except TypeError:
        raise MediaError(f"frame is {frame!r}; give a whole number, counted from 0") from None


def checked_object(name: ObjectId) -> ObjectId:
    """An object's name as an int or str. Raises `SessionError` for anything else."""
    if isinstance(name, str) and name.strip():
        return name
    try:
        return operator.index(name) if not isinstance(name, str | bool) else _refuse(name)
    except TypeError:
        return _refuse(name)


def _refuse(name: object) -> int:
    raise SessionError(f"object is {name!r}; give a whole number or a text that is not blank")
