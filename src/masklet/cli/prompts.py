"""Prompts as they are typed: `FRAME:OBJECT:NUMBERS`, or in a JSON file."""

import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from masklet.cli.choices import numbers
from masklet.errors import FormatError, PromptError, nearest
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
    """

    frame: int
    object: int | str
    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, ...] | None = None
    mask: Path | None = None


def parse_point(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:x,y`, or `FRAME:OBJECT:x,y,0` for a point that excludes."""
    expected = "give --point FRAME:OBJECT:x,y[,0], such as --point 0:1:120,80"
    frame, name, rest = _parts(text, expected)
    x, y, label = read_point(rest, text, expected)
    return TypedPrompt(frame, name, points=((x, y),), labels=(label,))


def parse_box(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:x0,y0,x1,y1`."""
    expected = "give --box FRAME:OBJECT:x0,y0,x1,y1, such as --box 0:1:40,60,220,240"
    frame, name, rest = _parts(text, expected)
    return TypedPrompt(frame, name, box=read_numbers(rest, (4,), text, expected))


def parse_mask(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:PNG`."""
    frame, name, rest = _parts(text, "give --mask FRAME:OBJECT:PNG, such as --mask 0:1:dog.png")
    return TypedPrompt(frame, name, mask=Path(rest))


def read_point(values: str, text: str, expected: str) -> tuple[float, float, int]:
    """`x,y`, or `x,y,LABEL`; 1 stands for no label. Raises a usage error that shows all that was typed, the text."""
    x, y, *label = read_numbers(values, (2, 3), text, expected)
    if label and label[0] not in (0, 1):
        raise typer.BadParameter(f"'{text}' has the label {label[0]:g}; a label is 1 (include) or 0 (exclude)")
    return x, y, int(label[0]) if label else 1


def read_numbers(values: str, counts: tuple[int, ...], text: str, expected: str) -> tuple[float, ...]:
    """So many numbers with commas between. Raises a usage error as `read_point` does."""
    found = numbers(values)
    if len(found) not in counts:
        raise typer.BadParameter(f"'{text}' cannot be read; {expected}")
    return found


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
        raise typer.BadParameter(f"{path} cannot be read as JSON: {error}") from None
    lists = content if isinstance(content, dict) else {EVERY_VIDEO: content}
    if not all(isinstance(records, list) for records in lists.values()):
        raise typer.BadParameter(
            f'{path} holds no list; give [{{"frame": 0, "object": 1, "box": [...]}}, ...], or {{"VIDEO": [...], ...}}'
        )
    return {name: [_from_record(record, path) for record in records] for name, records in lists.items()}


def prompts_of(video: Path, said: PromptsByVideo) -> tuple[TypedPrompt, ...]:
    """The prompts of a video."""
    return tuple(
        prompt for name in dict.fromkeys((EVERY_VIDEO, video.name, video.stem)) for prompt in said.get(name, ())
    )


def check_names(videos: Sequence[Path], said: PromptsByVideo) -> None:
    """Raise a usage error for a name that no video has."""
    known = {EVERY_VIDEO, *(video.name for video in videos), *(video.stem for video in videos)}
    for name in said:
        if name not in known:
            raise typer.BadParameter(f"there are prompts for {name!r}, and no such video{nearest(name, known)}")


def _from_record(record: Any, path: Path) -> TypedPrompt:
    from masklet.prompts import check_name  # here, so that help needs no NumPy

    try:
        values = dict(record)
        if unknown := set(values) - {"frame", "object", "points", "labels", "box", "mask"}:
            raise ValueError(f"it has {sorted(unknown)}")
        if not {"points", "box", "mask"} & set(values):
            raise ValueError("it says nothing of the object")
        return TypedPrompt(
            frame=operator.index(values.get("frame", 0)),
            object=check_name(values.get("object", 1)),
            points=tuple((float(x), float(y)) for x, y in values.get("points", ())),
            labels=tuple(operator.index(label) for label in values.get("labels", ())),
            box=tuple(float(value) for value in values["box"]) if "box" in values else None,
            mask=path.parent / values["mask"] if "mask" in values else None,
        )
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(
            f"{path} holds {json.dumps(record)[:80]}, which is no prompt ({error}); "
            'give {"frame": 0, "object": 1, "box": [x0, y0, x1, y1]}, or "points" and "labels", or "mask"'
        ) from None


def _parts(text: str, expected: str) -> tuple[int, int | str, str]:
    from masklet.prompts import check_name  # here, so that help needs no NumPy

    frame, *rest = text.split(":", 2)
    is_frame = frame.isascii() and frame.isdecimal() and len(frame) < 10
    if not is_frame or len(rest) != 2 or not all(part.strip() for part in rest):
        raise typer.BadParameter(f"'{text}' cannot be read; {expected}")
    name, what = rest
    is_number = name.isascii() and name.isdecimal() and len(name) <= 50
    try:
        return int(frame), check_name(int(name) if is_number else name), what
    except PromptError as error:
        raise typer.BadParameter(str(error)) from None
