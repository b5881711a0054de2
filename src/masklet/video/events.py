"""What can be done to a session: the log of it alone rebuilds the session. In files, plain values that JSON knows, from
which events are read without trust."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Literal

from masklet.errors import FormatError, MediaError, PromptError, SessionError
from masklet.formats.description import Description
from masklet.masks.rle import decode_rle, encode_rle, rle_from_json
from masklet.prompts import Prompt, check_name, make_prompt
from masklet.video.state import ObjectId, Tracks

Mark = Literal["absent", "accepted"]
"""What a person says of a range of frames."""

DAMAGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""The errors of values of another type or size than was packed."""

MAX_FRAME = 1 << 40
"""Frames have smaller numbers."""


@dataclass(frozen=True)
class Event:
    """Something that was done. Raises `MediaError` for frames that are no whole numbers, and `SessionError` for those
    that no file would give back, and for names that no object has."""

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name in EVENT_CHECKS and not (value is None and part.default is None):
                value = EVENT_CHECKS[part.name](value)
                if part.name in FRAMES and not 0 <= value < MAX_FRAME:
                    raise SessionError(f"{part.name} is {value}; give a frame's number, from 0 on and below 2^40")
                object.__setattr__(self, part.name, value)


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
        if self.first > self.last:
            raise SessionError(f"the frames {self.first} to {self.last} are no range; give first and last")


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
    """Objects were followed from one frame to another, both included; backward if `last` is the earlier."""

    first: int
    last: int
    backward: bool
    only: ObjectId | None = None
    apart: bool = False  # one of the two passes of `direction="both"`
    ended: bool = False  # it ended as nothing farther could change


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


FRAMES = ("frame", "first", "last")
"""The values of events that are frames."""

EVENT_CHECKS: dict[str, Callable[[Any], Any]] = {
    **{name: partial(checked_frame, name=name) for name in FRAMES},
    **dict.fromkeys(("object", "other", "new", "into", "only"), checked_object),
}
"""What the values of events are, by their names."""


LogEntry = tuple[Event, Tracks | None]
"""An event, and the state on its other side: before it if it was done, after it if it was undone. None if that state is
not known, because the event was done long before the session was saved."""


def event_to_json(event: Event) -> dict[str, Any]:
    """Plain values that JSON knows."""
    kinds = {kind: name for name, kind in _EVENTS.items()}
    values: dict[str, Any] = {"event": kinds[type(event)]}
    for key, value in vars(event).items():
        if isinstance(value, Prompt):
            values |= prompt_to_json(value)
        elif isinstance(value, Description):
            values |= value.to_json()
        elif key not in ("apart", "ended", "object") or not (value is None or value is False):
            values[key] = value  # others are left out, as in files of the first versions
    return values


def event_from_json(record: Mapping[str, Any], size: tuple[int, int]) -> Event:
    """The event that `event_to_json` wrote. Raises `FormatError` for anything else."""
    values = dict(record)
    kind = values.pop("event", None)
    try:
        if kind == "prompt":
            return Prompted(whole_number(values.pop("frame")), values.pop("object"), prompt_from_json(values, size))
        if kind == "describe":
            return Described(values.pop("object"), Description.from_json(values))
        checked = {key: FILED[key](value) if key in FILED else value for key, value in values.items()}
        return _EVENTS[str(kind)](**checked)
    except (*DAMAGE, SessionError) as error:  # PromptError is a ValueError
        raise FormatError(
            f"the project's event {kind!r:.60} cannot be read: {str(error)[:200]}; give another copy of the file"
        ) from error


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Plain values that JSON knows."""
    if prompt.mask is not None:
        return {"mask": encode_rle(prompt.mask).to_json()}
    return {"points": prompt.points, "labels": prompt.labels, "box": prompt.box}


def prompt_from_json(values: Mapping[str, Any], size: tuple[int, int]) -> Prompt:
    """The prompt that `prompt_to_json` wrote. Raises as `make_prompt`, or one of `DAMAGE`."""
    if "mask" in values:
        return make_prompt(size, mask=decode_rle(rle_from_json(values["mask"], size)))
    return make_prompt(size, points=values["points"], labels=values["labels"] or None, box=values["box"])


def whole_number(value: object, most: int = MAX_FRAME) -> int:
    """A whole number from 0 on. Raises `TypeError` or `ValueError` for anything else."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    if not 0 <= value < most:
        raise ValueError(f"{value} is out of range")
    return value


def truth(value: object) -> bool:
    """True or False. Raises `TypeError` for anything else."""
    if type(value) is not bool:
        raise TypeError(f"{value!r} is neither true nor false")
    return value


_EVENTS: dict[str, Callable[..., Event]] = {
    "prompt": Prompted,
    "describe": Described,
    "clear": Cleared,
    "remove": Removed,
    "lock": Locked,
    "mark": Marked,
    "swap": Swapped,
    "split": Split,
    "merge": Merged,
    "follow": Followed,
}

FILED: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(FRAMES, whole_number),
    **dict.fromkeys(("backward", "apart", "ended"), truth),
    "mark": lambda mark: {None: None, "absent": "absent", "accepted": "accepted"}[mark],
}
"""Builds the values of events in files; names check themselves. Each raises one of `DAMAGE`."""
