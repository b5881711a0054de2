"""Prompts in plain values, as a JSON file or a row of a manifest holds them."""

import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from masklet.errors import FormatError, PromptError
from masklet.formats.json_file import parse_any


@dataclass(frozen=True)
class TypedPrompt:
    """A prompt of one object in one frame.

    Attributes:
        frame: Number of the frame, from 0.
        object: The object's name, a number if it looks like one.
        points: (x, y) in pixels.
        labels: One for each point, 1 include, 0 exclude; empty for all 1.
        box: (x0, y0, x1, y1) in pixels.
        mask: A black and white picture, white on the object, or one with numbers of objects.
        millimetres: (x, y, z) of a click on a volume, RAS, in place of a frame and points.
    """

    frame: int
    object: int | str
    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, ...] | None = None
    mask: Path | None = None
    millimetres: tuple[float, ...] | None = None


EVERY_VIDEO = ""
"""In place of a video's name: what holds for all of them."""

PromptsByVideo = Mapping[str, Sequence[TypedPrompt]]
"""The prompts, by the name of the video's file, with or without its ending."""


def read_prompts(path: Path) -> dict[str, list[TypedPrompt]]:
    """A list of prompts, each with "frame", "object" and "box", "points" (and "labels"), or "mask"; or an object with
    such a list for each video, by the name of its file."""
    try:
        content = parse_any(path.read_bytes(), str(path))
    except (OSError, FormatError) as error:
        raise PromptError(f"{path} cannot be read as JSON: {error}") from None
    lists = content if isinstance(content, dict) else {EVERY_VIDEO: content}
    if not all(isinstance(records, list) for records in lists.values()):
        raise PromptError(
            f'{path} holds no list; give [{{"frame": 0, "object": 1, "box": [...]}}, ...], or {{"VIDEO": [...], ...}}'
        )
    return {name: prompts_from(records, str(path), path.parent) for name, records in lists.items()}


def prompts_of(video: Path, said: PromptsByVideo, own: Sequence[TypedPrompt] = ()) -> tuple[TypedPrompt, ...]:
    """The prompts of a video: those of every video, of its name, and `own` ones. A box or a mask of a later kind takes
    the place of an earlier one of the object in the frame."""
    found: list[TypedPrompt] = []
    for more in (*(said.get(name, ()) for name in dict.fromkeys((EVERY_VIDEO, video.name, video.stem))), own):
        outlined = {(new.object, new.frame) for new in more if new.box or new.mask}
        found = [
            replace(old, box=None, mask=None) if (old.object, old.frame) in outlined else old
            for old in found
            if old.points or old.millimetres or (old.object, old.frame) not in outlined
        ]
        found += more
    return tuple(found)


def prompts_from(records: Sequence[Any], where: str, folder: Path) -> list[TypedPrompt]:
    """Prompts of plain values such as `{"frame": 0, "object": 1, "box": [x0, y0, x1, y1]}`, or with "points" (and
    "labels"), or a "mask", which is named from the folder. Raises PromptError, which says where they were found, if
    one is no prompt."""
    return [_from_record(record, where, folder) for record in records]


def _from_record(record: Any, where: str, folder: Path) -> TypedPrompt:
    from masklet.prompts import check_name  # here, so that help needs no NumPy

    try:
        values = dict(record)
        if unknown := set(values) - {"frame", "object", "points", "labels", "box", "mask", "millimetres"}:
            raise ValueError(f"it has {sorted(unknown)}")
        if not {"points", "box", "mask", "millimetres"} & set(values):
            raise ValueError("it says nothing of the object")
        return TypedPrompt(
            frame=operator.index(values.get("frame", 0)),
            object=check_name(values.get("object", 1)),
            points=tuple((float(x), float(y)) for x, y in values.get("points", ())),
            labels=tuple(operator.index(label) for label in values.get("labels", ())),
            box=tuple(float(value) for value in values["box"]) if "box" in values else None,
            mask=folder / values["mask"] if "mask" in values else None,
            millimetres=_three(*values["millimetres"]) if "millimetres" in values else None,
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError(
            f"{where} holds {json.dumps(record, default=str)[:80]}, which is no prompt ({error}); "
            'give {"frame": 0, "object": 1, "box": [x0, y0, x1, y1]}, or "points" and "labels", or "mask"'
        ) from None


def _three(x: Any, y: Any, z: Any) -> tuple[float, ...]:
    return float(x), float(y), float(z)
