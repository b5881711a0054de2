"""Files: one appears under its name only when it is whole; the order of their names, and their digests."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path

from masklet.errors import FormatError


@contextmanager
def atomic_write(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary name in the same folder to write to; a clean end renames it to `path`.

    Args:
        path: The file.
        durable: Whether it must survive a power cut from then on: it is flushed to the disk before it gets its name.

    An exception removes what was written and goes on. An OSError of the body (a full disk, a folder that
    is missing or closed) becomes a FormatError that names `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        with writing(path):
            yield temporary
            if durable:
                flush(temporary)
            os.replace(temporary, path)
            if durable and os.name == "posix":
                flush(path.parent)  # the new name too
    finally:
        with suppress(OSError):  # already gone after the rename; or the file system has become read-only
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that appears when it is whole; a text in UTF-8. Raises FormatError if it cannot be written."""
    with atomic_write(path) as temporary:
        if isinstance(content, str):
            temporary.write_text(content, encoding="utf-8")
        else:
            temporary.write_bytes(content)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_stale(folder: Path) -> None:
    """Remove what killed runs left in a folder under temporary names. No other run may be writing there."""
    for left in folder.glob(".*.partial"):
        if re.fullmatch(r"\..+\.\d+(-[0-9a-f]+)?\.partial", left.name):
            left.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says inside becomes a FormatError that names what cannot be written."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> FormatError:
    """The FormatError for a path that the system lets nobody write."""
    reason = error.strerror or str(error)
    return FormatError(f"{path} cannot be written: {reason}; give a path in a folder that exists and has room")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Raises FormatError if it cannot be made."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def keep_inputs(target: Path, *inputs: Path | None) -> None:
    """Raise `FormatError` if a file that is to be written is one that is read."""
    for given in inputs:
        if given is not None and given.exists() and target.exists() and target.samefile(given):
            raise FormatError(f"{target} is what is read; give another place to write to")


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def changed_at(path: str | PathLike[str]) -> int:
    """When a file was changed, in nanoseconds; 0 if there is none. What is made of it and kept is made anew then."""
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return 0


def natural_order(file: Path) -> list[tuple[bool, int, str]]:
    """A key that sorts the numbers in names as numbers: 2.jpg before 10.jpg."""
    parts = re.split(r"(\d+)", file.name.lower())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
