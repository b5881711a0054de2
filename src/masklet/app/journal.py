"""What was done to a video, one JSON object a line, on the disk before it is acknowledged."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from masklet.atomic import write_error
from masklet.errors import FormatError
from masklet.formats.json_file import parse_json


class Journal:
    """A file that only grows. Each record has its number, `seq`, from 1.

    A record that was cut short, by a kill or a full disk, was never acknowledged: opening the file removes it.

    Attributes:
        records: All of them, in order.

    Raises:
        FormatError: The file cannot be read or written, or is damaged in its middle.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise write_error(path, error) from error
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    @property
    def seq(self) -> int:
        """The number of the last record; 0 before the first."""
        return len(self.records)

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write records, and wait until they are on the disk. Raises FormatError, and keeps none of them, if that
        fails."""
        numbered = [{"seq": self.seq + place, **record} for place, record in enumerate(records, start=1)]
        data = b"".join(json.dumps(record).encode("ascii") + b"\n" for record in numbered)
        end = self._file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise write_error(self.path, error) from error
        self.records += numbered

    def close(self) -> None:
        """Nothing is written from here on."""
        self._file.close()

    def _read(self) -> None:
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            self._file.truncate(whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            record = parse_json(line, f"line {number} of {self.path.name}")
            if record.get("seq") != number:
                raise FormatError(
                    f"line {number} of {self.path} has the number {record.get('seq')!r:.20}; "
                    "lines are missing: give the file back as it was, or move it away to begin anew"
                )
            self.records.append(record)
