"""The formats by name: who writes, who reads, and one line of help for each.

A format is a module of this package. Its writer is a context manager that opens the path and gives a function
for one frame; code after its `yield` runs only if all went well. Its reader gives the masks of each frame.

    @writes("mots", suffixes=(".txt",), help="...")
    @contextmanager
    def write_mots(path: Path, facts: Facts) -> Iterator[Sink]: ...

    @reads("mots")
    def read_mots(path: Path) -> Iterator[FrameMasks]: ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import masklet.formats
from masklet.errors import FormatError, nearest
from masklet.formats.base import Facts, Fingerprint, FrameLike, FrameMasks
from masklet.formats.writer import Writer

Sink = Callable[[FrameLike], None]
Opener = Callable[[Path, Facts], AbstractContextManager[Sink]]
Reader = Callable[[Path], Iterator[FrameMasks]]


@dataclass(frozen=True)
class Format:
    """One entry of the registry.

    name      what people type
    suffixes  of its files, such as ".json"; empty if it is a folder
    help      one line
    open      the writer's context manager
    read      the reader, or None if the format holds no masks
    """

    name: str
    suffixes: tuple[str, ...]
    help: str
    open: Opener
    read: Reader | None = None


_writers: dict[str, Format] = {}
_readers: dict[str, Reader] = {}


def writes(name: str, *, suffixes: tuple[str, ...], help: str) -> Callable[[Opener], Opener]:
    """Register a writer under a name."""

    def register(opener: Opener) -> Opener:
        assert name not in _writers, f"the format {name} is registered twice"
        _writers[name] = Format(name, suffixes, help, opener)
        return opener

    return register


def reads(name: str) -> Callable[[Reader], Reader]:
    """Register the reader of the format of that name."""

    def register(reader: Reader) -> Reader:
        assert name not in _readers, f"the reader of {name} is registered twice"
        _readers[name] = reader
        return reader

    return register


@cache
def formats() -> Mapping[str, Format]:
    """All formats by name, in the order of the alphabet. The first call imports the modules of this package."""
    for module in pkgutil.iter_modules(masklet.formats.__path__):
        importlib.import_module(f"masklet.formats.{module.name}")
    return {name: replace(_writers[name], read=_readers.get(name)) for name in sorted(_writers)}


def find_format(name: str) -> Format:
    """The format of that name. Raises FormatError, with the nearest name, if there is none."""
    known = formats()
    if name not in known:
        raise FormatError(f"unknown format {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    return known[name]


def format_of(path: str | PathLike[str]) -> Format:
    """The format that a file's suffix tells. Raises FormatError if none or several have it."""
    suffix = Path(path).suffix.lower()
    fitting = [entry for entry in formats().values() if suffix in entry.suffixes]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise FormatError(f"{Path(path).name} does not tell its format; name one of {', '.join(formats())}")
    names = ", ".join(entry.name for entry in fitting)
    raise FormatError(f"{Path(path).name} may be any of {names}; name the one that is meant")


def writer(
    name: str,
    path: str | PathLike[str],
    *,
    size: tuple[int, int],
    rate: float | Fraction | None = None,
    frame_count: int | None = None,
    video: str = "",
    audio_from: str | PathLike[str] | None = None,
    background: str | Path = "blur",
    model: str = "",
    fingerprint: Fingerprint | None = None,
    events: Sequence[Mapping[str, Any]] = (),
    steady: bool = True,
) -> Writer:
    """A writer of the format of that name; the facts are those of `Facts`.

        with writer("davis", "masks", size=(480, 854)) as sink:
            for result in tracker.propagate():
                sink.write(result)

    Raises FormatError if there is no such format.
    """
    facts = Facts(
        size=size,
        rate=rate,
        frame_count=frame_count,
        video=video,
        audio_from=None if audio_from is None else Path(audio_from),
        background=background,
        model=model,
        fingerprint=fingerprint,
        events=events,
        steady=steady,
    )
    return Writer(find_format(name).open, Path(path), facts)


def with_background(facts: Facts, name: str, background: str | Path | None) -> Facts:
    """The facts with what takes the background's place; as they are if nothing is said.

    Raises FormatError if the format of that name changes no background.
    """
    if background is None:
        return facts
    if name != "background":
        raise FormatError(f"a background is given, {str(background)!r}, and {name} changes none; take background")
    return replace(facts, background=background)


def read_masks(name: str, path: str | PathLike[str]) -> Iterator[FrameMasks]:
    """The masks of each frame that a file or folder of that format holds, in the order of frames.

    Raises FormatError if the format holds no masks, and, on the way, for what is missing or damaged.
    """
    reader = find_format(name).read
    if reader is None:
        holding = ", ".join(entry.name for entry in formats().values() if entry.read)
        raise FormatError(f"the format {name} holds pictures, not masks; formats that hold masks are {holding}")
    return reader(Path(path))
