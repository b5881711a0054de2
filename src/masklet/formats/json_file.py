"""JSON of others, read with care: what is wrong with it is said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from masklet.errors import FormatError

Kind = TypeVar("Kind")

WORDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number"}


def load_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises FormatError if it is missing, cut short, or holds something else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise FormatError(f"{path} cannot be read: {reason}; give the path of a JSON file") from error
    return parse_json(content, path.name)


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    """The object in a JSON text. Raises FormatError, naming the file, if it is no whole object."""
    try:
        value = json.loads(content, parse_int=_whole, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is no whole JSON ({error}); is it cut short? Give another copy") from error
    if not isinstance(value, dict):
        raise FormatError(f"{name} holds {_word(value)} where an object {{...}} was expected")
    return value


def entry(record: Mapping[str, Any], key: str, kind: type[Kind], name: str) -> Kind:
    """`record[key]`, of that type; a whole number passes as a number. Raises FormatError, naming file and key."""
    if key not in record:
        raise FormatError(f"{name} lacks {key!r}; it is not of the format that it was opened as")
    value = record[key]
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise FormatError(f"{key!r} in {name} is {_word(value)} where {WORDS[kind]} was expected")
    return value


def entries(record: Mapping[str, Any], key: str, kind: type[Kind], name: str) -> list[Kind]:
    """`record[key]`, a list of that type. Raises FormatError, naming file and key."""
    return [entry({key: value}, key, kind, name) for value in entry(record, key, list, name)]


def size_of(record: Mapping[str, Any], name: str, *, prefix: str = "") -> tuple[int, int]:
    """(height, width) of a record that holds "height" and "width"; SA-V writes them as 848.0."""
    height, width = (entry(record, prefix + side, float, name) for side in ("height", "width"))
    if not (height.is_integer() and width.is_integer()):
        raise FormatError(f"the size in {name} is {height} x {width}; expected whole numbers of pixels")
    return int(height), int(width)


def _whole(digits: str) -> int:
    """A whole number of a size that a count can have: longer ones are slow to read, and overflow later."""
    if len(digits) > 18:
        raise ValueError(f"the number {digits[:18]}... is too large")
    return int(digits)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _word(value: object) -> str:
    return WORDS.get(type(value), f"{value!r:.40}")
