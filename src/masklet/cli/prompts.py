"""Prompts as they are typed: `FRAME:OBJECT:NUMBERS`."""

from __future__ import annotations

from dataclasses import dataclass

import typer


@dataclass(frozen=True)
class TypedPrompt:
    """One option, taken apart.

    Attributes:
        frame: Number of the frame, from 0.
        object: The object's name, a number if it looks like one.
        numbers: What follows: x, y and perhaps a label; or x0, y0, x1, y1.
    """

    frame: int
    object: int | str
    numbers: tuple[float, ...]


def parse_prompt(text: str, option: str, shape: str, counts: tuple[int, ...]) -> TypedPrompt:
    """Take `text` apart. Raises a usage error that shows what was typed and what was expected."""
    expected = f"give {option} {shape}, such as {option} {'0:1:120,80' if 'x0' not in shape else '0:1:40,60,220,240'}"
    try:
        frame, name, values = text.split(":")
        numbers = tuple(float(value) for value in values.split(","))
        number = int(frame)
    except ValueError:
        raise typer.BadParameter(f"'{text}' cannot be read; {expected}") from None
    if len(numbers) not in counts or not name or number < 0:
        raise typer.BadParameter(f"'{text}' cannot be read; {expected}")
    return TypedPrompt(number, int(name) if name.isdecimal() else name, numbers)


def parse_point(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:x,y` or `FRAME:OBJECT:x,y,0`."""
    return parse_prompt(text, "--point", "FRAME:OBJECT:x,y[,0]", (2, 3))


def parse_box(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:x0,y0,x1,y1`."""
    return parse_prompt(text, "--box", "FRAME:OBJECT:x0,y0,x1,y1", (4,))
