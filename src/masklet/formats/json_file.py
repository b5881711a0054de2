"""JSON and texts of others, read with care: what is wrong with them is said in one sentence."""

import json
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from masklet.atomic import atomic_write
from masklet.errors import FormatError

Kind = TypeVar("Kind")

TYPE_NAMES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
}


MAX_COUNT = 2**63
"""Counts and numbers lie below this; whole numbers that are names may be larger."""

MAX_DIGITS = 1000
"""The most digits of whole numbers that are read and written."""

MAX_DEPTH = 100
"""Lists and objects inside each other that are written."""


def load_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises FormatError if it is missing, cut short, or holds something else."""
    return parse_json(read_bytes(path, "a JSON file"), path.name)


def read_bytes(path: Path, kind: str) -> bytes:
    """The content of a file. Raises FormatError, which says what kind was expected."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}; give the path of {kind}") from error


def read_lines(path: Path, kind: str) -> Iterator[tuple[str, str]]:
    """The lines of an ASCII text that are not blank, each with words for its place. Raises FormatError for others."""
    try:
        lines = read_bytes(path, f"a {kind}").decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path.name} is no {kind}: {error}; give another copy") from error
    return ((line, f"line {number} of {path.name}") for number, line in enumerate(lines, start=1) if line.strip())


def listed_in(path: Path, what: str) -> list[str]:
    """The lines of a text in UTF-8, such as classes, without blank ones. Raises FormatError, which says what they are,
    if there are none."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{path} cannot be read: {error}; give a text in UTF-8 with {what}, one in each line"
        ) from error
    if not (found := [line.strip() for line in lines if line.strip()]):
        raise FormatError(f"{path} has no {what}: it is empty; give a text file with one in each line")
    return found


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    """The object in a JSON text. Raises FormatError, naming the file, if it is no whole object."""
    value = parse_any(content, name)
    if not isinstance(value, dict):
        raise FormatError(f"{name} holds {_word(value)} where an object {{...}} was expected")
    return value


def parse_any(content: bytes | str, name: str) -> Any:
    """Whatever a JSON text holds; a byte-order mark before it is passed over. Raises FormatError, naming the file."""
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        return json.loads(text, parse_int=_whole, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is no whole JSON ({error}); is it cut short? Give another copy") from error


def write_listed(path: Path, head: Mapping[str, Any], key: str, items: Iterable[object]) -> None:
    """Write a JSON object that ends with a long list, `key`, of which one item at a time is in memory."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="ascii") as file:
        file.write(f'{json.dumps(head, allow_nan=False)[:-1]}, "{key}": [')
        for place, item in enumerate(items):
            file.write((",\n" if place else "\n") + json.dumps(item, allow_nan=False))
        file.write("]}")


def check_plain(value: object, name: str, depth: int = 0) -> None:
    """Raise FormatError, naming the place, for a value that JSON would not give back as it is: bytes, tuples, NumPy's
    numbers, those that are not finite, keys that are no text."""
    if depth > MAX_DEPTH:
        raise FormatError(f"{name} lies over {MAX_DEPTH} lists or objects deep; give flatter values")
    kind = type(value)
    if isinstance(value, dict) and kind is dict:
        for key, inner in value.items():
            if type(key) is not str:
                raise FormatError(f"a key of {name} is {key!r:.40}; give a text")
            check_plain(inner, f"{name}[{key!r:.40}]", depth + 1)
    elif isinstance(value, list) and kind is list:
        for place, inner in enumerate(value):
            check_plain(inner, f"{name}[{place}]", depth + 1)
    elif not (
        value is None
        or kind in (bool, str)
        or (isinstance(value, float) and kind is float and isfinite(value))
        or (isinstance(value, int) and kind is int and abs(value) < 10**MAX_DIGITS)
    ):
        raise FormatError(
            f"{name} is {_shown(value)} of type {kind.__name__}, which no file gives back as it is; give None, True, "
            "False, an int, a finite float, a str, or a list or dict of these"
        )


def entry(record: Mapping[str, Any], key: str, kind: type[Kind], name: str) -> Kind:
    """`record[key]`, of that type; a whole number passes as a number. Raises FormatError, naming file and key, also for
    numbers that are not finite, and whole ones of 2^63 and more."""
    if key not in record:
        raise FormatError(f"{name} lacks {key!r}; it is not of the format that it was opened as")
    value = record[key]
    if type(value) is int and kind in (int, float) and abs(value) >= MAX_COUNT:
        raise FormatError(f"{key!r} in {name} is too large, 2^63 or more")
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise FormatError(f"{key!r} in {name} is {_word(value)} where {TYPE_NAMES[kind]} was expected")
    if isinstance(value, float) and not isfinite(value):
        raise FormatError(f"{key!r} in {name} is {value}; expected a finite number")
    return value


def entries(
    record: Mapping[str, Any], key: str, kind: type[Kind], name: str, default: list[Kind] | None = None
) -> list[Kind]:
    """`record[key]`, a list of that type; the default where it is missing. Raises FormatError, naming file and key."""
    if default is not None and key not in record:
        return default
    return [entry({key: value}, key, kind, name) for value in entry(record, key, list, name)]


def record_size(record: Mapping[str, Any], name: str, *, prefix: str = "") -> tuple[int, int]:
    """(height, width) of a record that holds "height" and "width"; SA-V writes them as 848.0. Raises FormatError, also
    for a size that no mask has."""
    from masklet.masks.rle import check_mask_size  # here, so that help needs no NumPy

    height, width = (entry(record, prefix + side, float, name) for side in ("height", "width"))
    if not (height.is_integer() and width.is_integer()):
        raise FormatError(f"the size in {name} is {height} x {width}; expected whole numbers of pixels")
    check_mask_size((int(height), int(width)))
    return int(height), int(width)


def _whole(digits: str) -> int:
    """A whole number of any size that is used: those of very many digits are slow to read."""
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"the number {digits[:18]}... is too large")
    return int(digits)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _word(value: object) -> str:
    return TYPE_NAMES.get(type(value)) or _shown(value)


def _shown(value: object) -> str:
    """A value in at most 40 letters."""
    return "a very large number" if isinstance(value, int) and abs(value) > 10**40 else f"{value!r:.40}"
