"""Events, options, prompts and what is said of objects as plain values that JSON knows, and from them without trust."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from math import isfinite
from typing import Any, Literal, get_args

from masklet.errors import FormatError, SessionError
from masklet.formats.description import Description
from masklet.formats.project_file import Spans
from masklet.masks.rle import decode_rle, encode_rle, rle_from_json
from masklet.prompts import Prompt, make_prompt
from masklet.video import events
from masklet.video.options import TrackingOptions
from masklet.video.review import ReviewReason
from masklet.video.spans import with_span
from masklet.video.state import ObjectTrack

DAMAGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""The errors of values of another type or size than was packed."""

MOST_FRAME = 1 << 40
"""Frames have smaller numbers."""

MOST_MARKED = 1 << 24
"""Frames that are accepted, or without an object, have smaller numbers."""

MOST_COLOURS = 1 << 10
"""Bytes of a signature of colours, at most."""

Kind = Literal["prompted", "tracked"]
"""Whether a person answers for a frame, or the tracker."""

KINDS: tuple[Kind, ...] = get_args(Kind)


def event_to_json(event: events.Event) -> dict[str, Any]:
    """Plain values that JSON knows."""
    if isinstance(event, events.Prompted):
        return {"event": "prompt", "frame": event.frame, "object": event.object, **prompt_to_json(event.prompt)}
    if isinstance(event, events.Described):
        return {"event": "describe", "object": event.object, **event.description.to_json()}
    kinds = {kind: name for name, kind in _EVENTS.items()}
    values = asdict(event)
    for key in ("apart", "ended"):
        if not values.get(key, True):
            del values[key]  # as in files of the first versions
    if isinstance(event, events.Locked) and event.object is None:
        del values["object"]
    return {"event": kinds[type(event)], **values}


def event_from_json(record: Mapping[str, Any], size: tuple[int, int]) -> events.Event:
    """The event that `event_to_json` wrote. Raises `FormatError` for anything else."""
    values = dict(record)
    kind = values.pop("event", None)
    try:
        if kind == "prompt":
            frame, name = whole_number(values.pop("frame")), values.pop("object")
            return events.Prompted(frame, name, prompt_from_json(values, size))
        if kind == "describe":
            return events.Described(values.pop("object"), Description.from_json(values))
        checked = {key: CHECKS[key](value) if key in CHECKS else value for key, value in values.items()}
        return _EVENTS[str(kind)](**checked)
    except (*DAMAGE, SessionError) as error:  # PromptError is a ValueError
        raise FormatError(
            f"the project's event {kind!r} cannot be read: {str(error)[:200]}; give another copy of the file"
        ) from error


def options_to_json(options: TrackingOptions) -> dict[str, Any]:
    """Plain values that JSON knows; a policy that has no name is null."""
    values = {part.name: getattr(options, part.name) for part in fields(options)}
    return {**values, "policy": options.policy if isinstance(options.policy, str) else None}


def options_from_json(record: Mapping[str, Any]) -> TrackingOptions:
    """The options that `options_to_json` wrote. Those that are missing, as in files of the first versions, are the
    usual ones; unknown ones are passed over.

    Raises `FormatError` for values of another kind, for a policy that has no name, and for one of a module: a file
    cannot have code run.
    """
    known = {}
    for name in (part.name for part in fields(TrackingOptions) if part.name in record):
        known[name] = value = record[name]
        if name == "policy" and (value is None or ":" in str(value)):
            what = "of its own" if value is None else str(value)
            raise FormatError(f"the session has a policy {what}, which no file can bring; give options with it")
        if type(value) not in _OPTIONS.get(name, (bool,)):
            raise FormatError(f"the project's option {name} is {value!r}; give another copy of the file, or options")
    return TrackingOptions(**known)


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


def facts_of(track: ObjectTrack, after: ObjectTrack | None = None) -> dict[str, Any]:
    """What is said of an object, as plain values that JSON knows; of that only what a later state has otherwise."""
    written: dict[str, Callable[[], Any]] = {
        "description": track.description.to_json,
        "prompts": lambda: [[frame, prompt_to_json(prompt)] for frame, prompt in track.prompts.items()],
        "absent": lambda: track.absent,
        "accepted": lambda: track.accepted,
    }
    return {key: fact() for key, fact in written.items() if after is None or getattr(track, key) != getattr(after, key)}


def facts_from_json(facts: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The fields of an `ObjectTrack` that `facts_of` wrote. Raises as `prompt_from_json`, or `SessionError`."""
    read: dict[str, Callable[[Any], Any]] = {
        "description": Description.from_json,
        "prompts": lambda said: {whole_number(frame): prompt_from_json(prompt, size) for frame, prompt in said},
        "absent": spans_from_json,
        "accepted": spans_from_json,
    }
    return {key: read[key](fact) for key, fact in facts.items()}


def spans_from_json(value: Any) -> Spans:
    spans: Spans = ()
    for first, last in value:
        spans = with_span(spans, whole_number(first, MOST_MARKED), whole_number(last, MOST_MARKED))
    return spans


def span_from_json(value: list[Any]) -> tuple[int, int]:
    """A range of frames; a single one in files of the first versions."""
    first, last = whole_number(value[0], MOST_MARKED), whole_number(value[-1], MOST_MARKED)
    if len(value) > 2 or first > last:
        raise ValueError(f"{value} is no range of frames")
    return first, last


def kind_of(value: object) -> Kind:
    """One of the two kinds. Raises `ValueError` for anything else."""
    for kind in KINDS:
        if value == kind:
            return kind
    raise ValueError(f"{value!r} is neither prompted nor tracked")


def whole_number(value: object, most: int = MOST_FRAME) -> int:
    """A whole number from 0 on. Raises `TypeError` or `ValueError` for anything else."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    if not 0 <= value < most:
        raise ValueError(f"{value} is out of range")
    return value


def finite(value: object) -> float:
    """A finite number. Raises `TypeError` or `ValueError` for anything else."""
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is no number")
    if not isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{value} is not finite")
    return float(value)  # type: ignore[arg-type]


def truth(value: object) -> bool:
    """True or False. Raises `TypeError` for anything else."""
    if type(value) is not bool:
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _box(value: Any) -> tuple[int, ...]:
    x0, y0, x1, y1 = (whole_number(edge) for edge in value)
    return x0, y0, x1, y1


def damaged(error: Exception) -> FormatError:
    return FormatError(f"what the project remembers is damaged: {str(error)[:200]}; give another copy of the file")


_EVENTS: dict[str, Callable[..., events.Event]] = {
    "clear": events.Cleared,
    "remove": events.Removed,
    "lock": events.Locked,
    "mark": events.Marked,
    "swap": events.Swapped,
    "split": events.Split,
    "merge": events.Merged,
    "follow": events.Followed,
}

_OPTIONS = {
    "policy": (str,),
    "corrections": (str,),
    "feature_budget": (int,),
    "fill_holes": (int, type(None)),
    "disk_budget": (int, type(None)),
}
"""Kinds of options that are no truths."""

CHECKS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("frame", "first", "last", "area"), whole_number),
    **dict.fromkeys(("iou", "presence"), finite),
    **dict.fromkeys(("attended", "backward", "cut", "apart", "ended"), truth),
    "box": _box,
    "anchors": lambda value: tuple(whole_number(frame) for frame in value),
    "colours": lambda value: bytes.fromhex(value[: 2 * MOST_COLOURS]),
    "doubt": lambda value: str(ReviewReason(value)) if value else "",
    "mark": lambda mark: {None: None, "absent": "absent", "accepted": "accepted"}[mark],
}
"""Builds values of events, whose names check themselves, and the stats of frames. Each raises one of `DAMAGE`."""
