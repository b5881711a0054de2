"""Damage and malice by a seed: bytes, JSON, and the members of zip archives, changed in a few places."""

from __future__ import annotations

import copy
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes], bytes]

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 254, 255, 256, 2**31 - 1, 2**31, 2**32, 10**17, 10**18, 10**40, -(10**18), 0.5,
    -0.0, 1e308, float("nan"), float("inf"), "", "a", "x" * 300, "\ud800", "../../etc/passwd", "/dev/zero", "a\0b", "1",
    [], [0], [[]], [None], {}, {"a": 1}, [1e9] * 4, [[0, 0]] * 50, b"\xff".decode("latin-1"),
)  # fmt: skip
"""What stands where something else is expected."""


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Cut short, bits turned, stretches overwritten, doubled or taken out."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not content:
            break
        place = rng.randrange(len(content))
        if rng.random() < 0.5:
            place = rng.randrange(min(len(content), 1024))  # headers are where it hurts
        length = rng.choice((1, 1, 2, 4, 8, 64))
        match rng.randrange(7):
            case 0:
                content[place] ^= 1 << rng.randrange(8)
            case 1:
                content[place : place + length] = rng.randbytes(length)
            case 2:
                content[place : place + length] = rng.choice((b"\xff", b"\0", b"\x7f", b"\x80")) * length
            case 3:
                del content[place : place + length]
            case 4:
                content[place:place] = content[place : place + length]
            case 5:
                content[place : place + 4] = rng.choice((0, 1, 2**31 - 1, 2**32 - 1)).to_bytes(4, "little")
            case 6 if rng.random() < 0.3:
                del content[place:]
    return bytes(content)


def mutate_text(rng: Random, data: bytes) -> bytes:
    """Of a table or a text: lines and cells changed, or bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data)
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 2, 4))):
        place = rng.randrange(len(lines))
        separator = b"," if b"," in lines[place] else b" "
        cells = lines[place].split(separator)
        odd = str(rng.choice(ODD)).encode("utf-8", "surrogatepass")
        match rng.randrange(4):
            case 0:
                cells[rng.randrange(len(cells))] = odd
            case 1:
                del cells[rng.randrange(len(cells))]
            case 2:
                cells.insert(rng.randrange(len(cells) + 1), odd)
            case 3:
                lines.insert(place, lines[place])
        lines[place] = separator.join(cells)
    return b"\n".join(lines)


def mutate_json(rng: Random, data: bytes) -> bytes:
    """Values of a JSON text exchanged, taken out or renamed; now and then its bytes."""
    try:
        value = json.loads(data)
    except ValueError:
        return mutate_bytes(rng, data)
    match rng.randrange(12):
        case 0:
            return mutate_bytes(rng, data)
        case 1:
            return rng.choice((b"[", b'{"a":')) * rng.choice((10, 100_000)) + data
        case 2:
            return b"\xef\xbb\xbf" + data
    holder = [value]
    for _ in range(rng.choice((1, 1, 2, 4))):
        places: list[tuple[Any, Any]] = []
        _collect(holder, places)
        parent, key = rng.choice(places)
        action = rng.randrange(6)
        if action == 0 and parent is not holder:
            del parent[key]
        elif action == 1 and isinstance(parent, dict):
            parent[str(rng.choice(ODD))] = parent.pop(key)
        elif action == 2 and isinstance(parent, list) and parent is not holder:
            parent.insert(key, parent[key])
        elif action == 3:
            other, place = rng.choice(places)
            parent[key] = json.loads(json.dumps(other[place]))
        else:
            parent[key] = copy.deepcopy(rng.choice(ODD))  # it may be changed itself next
    return json.dumps(holder[0]).encode("ascii")


def mutate_zip(rng: Random, data: bytes, member_of: Callable[[str], Mutation] | None = None) -> bytes:
    """One member of an archive changed, by its name; now and then the archive's own bytes."""
    if rng.random() < 0.15:
        return mutate_bytes(rng, data)
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(changed, "w") as target:
        infos = source.infolist()
        picked = rng.choice(infos)
        for info in infos:
            content = source.read(info)
            if info is picked:
                mutate = (member_of or _by_name)(info.filename)
                content = mutate(rng, content)
                if rng.random() < 0.05:
                    info.filename = str(rng.choice(("../a", "/a", "a\\b", "masks/x.jsonl", "", "masklet.json")))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # two members of one name, which is meant
                target.writestr(info, content)
    return changed.getvalue()


def mutate_safetensors(rng: Random, data: bytes) -> bytes:
    """The header of a safetensors file as JSON, metadata that are JSON too as such; or the file's bytes."""
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.2 or length > len(data):
        return mutate_bytes(rng, data)
    header, rest = data[8 : 8 + length], data[8 + length :]
    try:
        content = json.loads(header)
        texts = content.get("__metadata__", {})
        nested = [key for key, text in texts.items() if text.startswith(("{", "["))]
        if nested and rng.random() < 0.7:
            key = rng.choice(nested)
            texts[key] = mutate_json(rng, texts[key].encode()).decode("utf-8", "replace")
            header = json.dumps(content).encode()
        else:
            header = mutate_json(rng, header)
    except (ValueError, AttributeError):
        header = mutate_bytes(rng, header)
    return len(header).to_bytes(8, "little") + header + rest


def _by_name(name: str) -> Mutation:
    if name.endswith(".json"):
        return mutate_json
    if name.endswith(".jsonl"):
        return _mutate_line
    if name.endswith(".safetensors"):
        return mutate_safetensors
    return mutate_bytes


def _mutate_line(rng: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    lines[place] = mutate_json(rng, lines[place])
    return b"\n".join(lines)


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    """Every (container, key) below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        places.append((value, key))
        _collect(inner, places)
