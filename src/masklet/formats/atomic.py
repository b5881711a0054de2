"""A file appears under its name only when it is whole; whoever looks earlier finds the old one, or none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from masklet.errors import FormatError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name in the same folder to write to; a clean end renames it to `path`.

    An exception removes what was written and goes on. An OSError of the body (a full disk, a folder that
    is missing or closed) becomes a FormatError that names `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)  # already gone after the rename


def sweep(folder: Path) -> None:
    """Remove what killed runs left in a folder under temporary names. No other run may be writing there."""
    for left in folder.glob(".*.partial"):
        if re.fullmatch(r"\..+\.\d+\.partial", left.name):
            left.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> FormatError:
    """The FormatError for a path that the system lets nobody write."""
    reason = error.strerror or str(error)
    return FormatError(f"{path} cannot be written: {reason}; give a path in a folder that exists and has room")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Raises FormatError if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
