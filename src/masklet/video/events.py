"""What a person did to a session, in order: the log alone rebuilds it. Ranges of frames as people name them, undo, and
what is left of passes that were stopped."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from masklet.errors import MediaError, PromptError, SessionError
from masklet.formats.description import Description
from masklet.prompts import Prompt, check_name
from masklet.video.state import ObjectId, Tracks

Direction = Literal["forward", "backward", "both"]
"""Which way a video is followed."""

Mark = Literal["absent", "accepted"]
"""What a person says of a range of frames."""


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
class Described:
    """An object got a description, which may be its first event."""

    object: ObjectId
    description: Description


@dataclass(frozen=True)
class Locked:
    """A frame was approved, of one object or of all: its masks stay, and are always remembered."""

    frame: int
    object: ObjectId | None = None


@dataclass(frozen=True)
class Marked:
    """Frames of an object, from `first` to `last`, were accepted as they are, or it was said to be absent there; None
    takes that back."""

    object: ObjectId
    first: int
    last: int
    mark: Mark | None


@dataclass(frozen=True)
class Swapped:
    """From a frame on, each of two objects has what the other had."""

    frame: int
    object: ObjectId
    other: ObjectId


@dataclass(frozen=True)
class Split:
    """From a frame on, what was known of an object is that of a new one."""

    frame: int
    object: ObjectId
    new: ObjectId


@dataclass(frozen=True)
class Merged:
    """An object became a part of another one."""

    object: ObjectId
    into: ObjectId


@dataclass(frozen=True)
class Followed:
    """Objects were followed from one frame to another, both included; backward if `last` is the earlier.

    `apart` marks one of the two passes of `direction="both"`, `ended` one that ended as nothing farther could change.
    """

    first: int
    last: int
    backward: bool
    only: ObjectId | None
    apart: bool = False
    ended: bool = False


Event = Prompted | Cleared | Removed | Described | Locked | Marked | Swapped | Split | Merged | Followed


@dataclass(frozen=True)
class Range:
    """Frames to follow, and in which direction.

    Attributes:
        first: The first frame.
        stop: The first frame that is left out; None is the end of the video.
        backward: Whether it goes towards the video's beginning.
        apart: Whether it is one of two passes that are kept apart and then joined; see `masklet.video.corrections`.
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

    def inside(self, frames: range) -> Range:
        """The part of it that lies in those frames."""
        if self.backward:
            stop = max(frames.start - 1, -1 if self.stop is None else self.stop)
            return replace(self, first=min(self.first, frames.stop - 1), stop=None if stop < 0 else stop)
        stop = frames.stop if self.stop is None else min(self.stop, frames.stop)
        return replace(self, first=max(self.first, frames.start), stop=stop)

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
    """Raise `SessionError` for an unknown direction."""
    if direction not in get_args(Direction):
        raise SessionError(f"direction is {direction!r}; give 'forward', 'backward' or 'both'")


def checked_frame(frame: int, name: str = "frame") -> int:
    """A frame's number as an int. Raises `MediaError`, which names the argument, for anything but a whole number."""
    try:
        return operator.index(frame)
    except TypeError:
        raise MediaError(f"{name} is {frame!r}; give a whole number, counted from 0") from None


def checked_span(first: int, last: int | None) -> tuple[int, int]:
    """(first, last) frame of a range, both included; `last` is `first` if not given. Raises `MediaError` or
    `SessionError` for what is none."""
    begin = checked_frame(first, "first")
    end = begin if last is None else checked_frame(last, "last")
    if not 0 <= begin <= end:
        raise SessionError(f"the frames {begin} to {end} are no range; give first and last, from 0 on")
    return begin, end


def checked_object(name: ObjectId) -> ObjectId:
    """An object's name as an int or str. Raises `SessionError` for other values, see `masklet.prompts.check_name`."""
    try:
        return check_name(name)
    except PromptError as error:
        raise SessionError(str(error)) from None


@dataclass
class Pass:
    """A pass that is under way."""

    before: Tracks
    first: int
    backward: bool
    apart: bool
    only: ObjectId | None
    last: int | None = None
    ended: bool = False

    def event(self) -> Followed | None:
        """The event of the pass so far; None if it did not come to its first frame."""
        if self.last is None:
            return None
        return Followed(self.first, self.last, self.backward, self.only, self.apart, self.ended)


Step = tuple[Event, Tracks | None]
"""An event, and the state on its other side: before it if it was done, after it if it was undone. None if that state is
not known, because the event was done long before the session was saved."""


@dataclass
class History:
    """Events in order. State is immutable, so the old one is kept, and undoing is putting it back."""

    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
    under_way: Pass | None = None

    def record(self, event: Event, before: Tracks) -> None:
        """One more event. What was undone cannot be done again."""
        self.settle()
        self.done.append((event, before))
        self.undone.clear()

    def begin(self, new: Pass) -> Pass:
        """A pass begins, or goes on after another event."""
        self.settle()
        self.under_way = new
        return new

    def settle(self) -> None:
        """Record the pass that is under way, as far as it came."""
        if len(steps := self.steps()) > len(self.done):
            self.done = steps
            self.undone.clear()
        self.under_way = None

    def steps(self) -> list[Step]:
        """The events in order, the pass under way included as far as it came; the pass itself goes on."""
        event = None if self.under_way is None else self.under_way.event()
        return [*self.done, (event, self.under_way.before)] if self.under_way and event else list(self.done)

    def events(self) -> list[Event]:
        """The events of these steps."""
        return [event for event, _ in self.steps()]

    def undo(self, now: Tracks) -> Event:
        """Take back the last event."""
        event, _ = self.done.pop()
        self.undone.append((event, now))
        return event

    def redo(self, now: Tracks) -> Step:
        """The event undone last and the state after it. Raises `SessionError` if nothing was undone."""
        self.settle()
        if not self.undone:
            raise SessionError("there is nothing to redo")
        event, after = self.undone.pop()
        self.done.append((event, now))
        return event, after

    def clear(self) -> None:
        """Forget everything."""
        self.done.clear()
        self.undone.clear()
        self.under_way = None


def remaining(passes: Sequence[Range], events: Sequence[Event], only: ObjectId | None = None) -> list[Range]:
    """The rest of passes that are made one after another.

    The last one that began goes on with its last frame, since only following shows whether the video has a next one;
    those before it are finished.
    """
    left: list[Range] = []
    for span in reversed(passes):
        last = last_done(span, events, only)
        if last is None:
            left.append(span)
            continue
        if span.after(last) != span.end:
            left.append(replace(span, first=last))
        break
    return left[::-1]


def last_done(span: Range, events: Sequence[Event], only: ObjectId | None = None) -> int | None:
    """The last frame that a pass came to without a gap, in one go or in several; None if it did not begin."""
    ahead = -1 if span.backward else 1
    steps = 0
    for event in events:
        match event:
            case Followed(first, last, span.backward, followed, span.apart) if followed == only:
                if (first - span.first) * ahead <= steps:
                    steps = max(steps, (last - span.first) * ahead + 1)
    return span.first + (steps - 1) * ahead if steps else None
