"""What was done to a session, in order: the log alone rebuilds it. Undo puts an older state back."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal

from masklet.errors import MediaError, PromptError, SessionError
from masklet.formats.description import Description
from masklet.prompts import Prompt, check_name
from masklet.video.state import ObjectId, Tracks

Mark = Literal["absent", "accepted"]
"""What a person says of a range of frames."""


@dataclass(frozen=True)
class Event:
    """Something that was done. Raises `MediaError` for frames that are no whole numbers, and `SessionError` for names
    that no object has."""

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name in CHECKS and not (value is None and part.default is None):
                object.__setattr__(self, part.name, CHECKS[part.name](value))


@dataclass(frozen=True)
class Prompted(Event):
    """A prompt on a frame, whole: earlier clicks on the frame are in it."""

    frame: int
    object: ObjectId
    prompt: Prompt


@dataclass(frozen=True)
class Cleared(Event):
    """The prompt on a frame was taken back."""

    frame: int
    object: ObjectId


@dataclass(frozen=True)
class Removed(Event):
    """An object was removed with all that is known of it."""

    object: ObjectId


@dataclass(frozen=True)
class Described(Event):
    """An object got a description, which may be its first event."""

    object: ObjectId
    description: Description


@dataclass(frozen=True)
class Locked(Event):
    """A frame was approved, of one object or of all: its masks stay, and are always remembered."""

    frame: int
    object: ObjectId | None = None


@dataclass(frozen=True)
class Marked(Event):
    """Frames of an object, from `first` to `last`, were accepted as they are, or it was said to be absent there; None
    takes that back."""

    object: ObjectId
    first: int
    last: int
    mark: Mark | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.first <= self.last:
            raise SessionError(f"the frames {self.first} to {self.last} are no range; give first and last, from 0 on")


@dataclass(frozen=True)
class Swapped(Event):
    """From a frame on, each of two objects has what the other had."""

    frame: int
    object: ObjectId
    other: ObjectId


@dataclass(frozen=True)
class Split(Event):
    """From a frame on, what was known of an object is that of a new one."""

    frame: int
    object: ObjectId
    new: ObjectId


@dataclass(frozen=True)
class Merged(Event):
    """An object became a part of another one."""

    object: ObjectId
    into: ObjectId


@dataclass(frozen=True)
class Followed(Event):
    """Objects were followed from one frame to another, both included; backward if `last` is the earlier.

    `apart` marks one of the two passes of `direction="both"`, `ended` one that ended as nothing farther could change.
    """

    first: int
    last: int
    backward: bool
    only: ObjectId | None = None
    apart: bool = False
    ended: bool = False


def checked_frame(frame: int, name: str = "frame") -> int:
    """A frame's number as an int. Raises `MediaError`, which names the argument, for anything but a whole number."""
    try:
        return operator.index(frame)
    except TypeError:
        raise MediaError(f"{name} is {frame!r}; give a whole number, counted from 0") from None


def checked_object(name: ObjectId) -> ObjectId:
    """An object's name as an int or str. Raises `SessionError` for other values, see `masklet.prompts.check_name`."""
    try:
        return check_name(name)
    except PromptError as error:
        raise SessionError(str(error)) from None


CHECKS: dict[str, Callable[[Any], Any]] = {
    **{name: partial(checked_frame, name=name) for name in ("frame", "first", "last")},
    **dict.fromkeys(("object", "other", "new", "into", "only"), checked_object),
}
"""What the values of events are, by their names."""


LogEntry = tuple[Event, Tracks | None]
"""An event, and the state on its other side: before it if it was done, after it if it was undone. None if that state is
not known, because the event was done long before the session was saved."""


@dataclass
class History:
    """Events in order. State is immutable, so the old one is kept, and undoing is putting it back.

    Attributes:
        done: What was done.
        undone: What was undone since, the last first.
        under_way: The last entry that was done, if it is a pass that goes on.
    """

    done: list[LogEntry] = field(default_factory=list)
    undone: list[LogEntry] = field(default_factory=list)
    under_way: LogEntry | None = None

    @property
    def events(self) -> list[Event]:
        """The events that were done."""
        return [event for event, _ in self.done]

    def record(self, event: Event, before: Tracks) -> None:
        """One more event. What was undone cannot be done again."""
        self.done.append((event, before))
        self.undone.clear()
        self.under_way = None

    def extend(self, entry: LogEntry | None, event: Followed, before: Tracks) -> LogEntry:
        """A pass came farther: its event so far takes the place of its `entry`, or is recorded if it has none yet."""
        if entry is None:
            self.record(event, before)
        else:
            self.done[-1] = event, entry[1]
        self.under_way = self.done[-1]
        return self.under_way

    def undo(self, now: Tracks) -> Event:
        """Take back the last event."""
        event, _ = self.done.pop()
        self.undone.append((event, now))
        self.under_way = None
        return event

    def redo(self, now: Tracks) -> LogEntry:
        """The event undone last and the state after it. Raises `SessionError` if nothing was undone."""
        if not self.undone:
            raise SessionError("there is nothing to redo")
        event, after = self.undone.pop()
        self.done.append((event, now))
        return event, after
