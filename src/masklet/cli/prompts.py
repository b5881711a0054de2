"""Prompts as they are typed: `FRAME:OBJECT:NUMBERS`, or in a JSON file."""

from collections.abc import Sequence
from pathlib import Path

import typer

from masklet.cli.choices import numbers
from masklet.errors import PromptError, nearest
from masklet.jobs.prompts import EVERY_VIDEO, PromptsByVideo, TypedPrompt, read_prompts


def parse_point(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:x,y`, or `FRAME:OBJECT:x,y,0` for a point that excludes; `mm:OBJECT:x,y,z[,0]` on a volume."""
    if text.startswith("mm:"):
        expected = "give --point mm:OBJECT:x,y,z[,0], such as --point mm:liver:-32,10.5,118"
        _, name, rest = _parts(f"0{text[2:]}", expected)
        x, y, z, *said = read_numbers(rest, (3, 4), text, expected)
        return TypedPrompt(0, name, labels=(_label(said, text),), millimetres=(x, y, z))
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
    x, y, *said = read_numbers(values, (2, 3), text, expected)
    return x, y, _label(said, text)


def _label(said: Sequence[float], text: str) -> int:
    if said and said[0] not in (0, 1):
        raise typer.BadParameter(f"'{text}' has the label {said[0]:g}; a label is 1 (include) or 0 (exclude)")
    return int(said[0]) if said else 1


def read_numbers(values: str, counts: tuple[int, ...], text: str, expected: str) -> tuple[float, ...]:
    """So many numbers with commas between. Raises a usage error as `read_point` does."""
    found = numbers(values)
    if len(found) not in counts:
        raise typer.BadParameter(f"'{text}' cannot be read; {expected}")
    return found


def with_file(typed: Sequence[TypedPrompt], path: Path | None) -> PromptsByVideo:
    """The prompts that were typed, which hold for every video, and those of a JSON file, if there is one. What
    `masklet.jobs.prompts.read_prompts` refuses is wrong usage."""
    said = {EVERY_VIDEO: [*typed]}
    try:
        for name, more in (read_prompts(path) if path else {}).items():
            said[name] = [*said.get(name, []), *more]
    except PromptError as error:
        raise typer.BadParameter(str(error)) from None
    return said


def check_names(videos: Sequence[Path], said: PromptsByVideo, what: str = "video") -> None:
    """Raise a usage error for a name that no video, or no picture, has."""
    known = {EVERY_VIDEO, *(video.name for video in videos), *(video.stem for video in videos)}
    for name in said:
        if name not in known:
            raise typer.BadParameter(f"there are prompts for {name!r}, and no such {what}{nearest(name, known)}")


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
