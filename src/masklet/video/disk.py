"""Unnamed files that live as long as a session, and what is said when the disk is full."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from masklet.errors import SessionError


class Slots:
    """Records of one length; places that are given back are used again."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="masklet-", buffering=0)  # noqa: SIM115, lives as long as this
        self._count = 0
        self._free: list[int] = []

    def put(self, record: bytes) -> int:
        """Keep a record, and say in which slot. Raises `SessionError` if there is no room."""
        slot = self._free[-1] if self._free else self._count
        with told_where_to_make_room():
            write(self._file, slot * len(record), record)
        if self._free:
            self._free.pop()
        else:
            self._count += 1
        return slot

    def get(self, slot: int, length: int) -> bytes:
        """The record of a slot."""
        self._file.seek(slot * length)
        return self._file.read(length)

    def give_back(self, slot: int) -> None:
        """The record is not needed any more."""
        self._free.append(slot)

    def close(self) -> None:
        self._file.close()


class Tail:
    """Records of any length, one after another, by their number."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="masklet-", buffering=0)  # noqa: SIM115, lives as long as this
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def size(self) -> int:
        """Bytes of all records."""
        return self._ends[-1]

    def add(self, record: bytes) -> None:
        """Keep one more record. Raises `SessionError` if there is no room."""
        with told_where_to_make_room():
            write(self._file, self.size, record)
        self._ends.append(self.size + len(record))

    def get(self, number: int) -> bytes:
        """A record."""
        self._file.seek(self._ends[number])
        return self._file.read(self._ends[number + 1] - self._ends[number])

    def close(self) -> None:
        self._file.close()


def write(file: IO[bytes], place: int, record: bytes) -> None:
    """Write all of a record; a full disk takes a part before it refuses."""
    file.seek(place)
    rest = memoryview(record)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def told_where_to_make_room() -> Iterator[None]:
    """Turn the system's refusal to write into a `SessionError`."""
    try:
        yield
    except OSError as error:
        raise SessionError(
            f"what is tracked cannot be kept on disk: {error.strerror or error}; make room in {tempfile.gettempdir()}, "
            "or track with a smaller TrackingOptions(disk_budget=...); what was found before stays"
        ) from error
