"""What changed since a session was saved, in a file beside it that only grows, so that a kill loses one frame at most.

A record is its length and checksum, 8 and 4 bytes, and a safetensors file like the attachments of a project: the change
as `changes.change_between` tells it, the frames that it puts in, and the events. The last record may be cut short. A
journal names the project file that it goes on from, and says nothing of another.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import IO

from masklet.atomic import write_error
from masklet.engines.base import Engine
from masklet.errors import FormatError
from masklet.formats.project_file import Project
from masklet.video.changes import applied, change_between, changes_of, item_of
from masklet.video.events import Followed, LogEntry
from masklet.video.json_values import DAMAGE, Kind, damaged, event_from_json, event_to_json, finite, whole_number
from masklet.video.packing import UNDO, ItemReader, metadata_of, pack_items
from masklet.video.project import Snapshot
from masklet.video.result import ShownMasks
from masklet.video.state import ObjectTrack
from masklet.video.store import write

MAGIC = b"masklet journal 1\n"

HEAD = 12
"""Bytes before a record: its length, and its checksum."""


class Journal:
    """The changes of a session since its project file was written.

    Args:
        path: The project file.
        session: What it, and the records that are there already, keep.
        end: Where the whole records of the journal end; 0 if it is to begin anew.
    """

    def __init__(self, path: Path, session: Snapshot, end: int = 0) -> None:
        self.path = journal_of(path)
        self._project = path
        self._kept = session
        self._end = end
        self._flushed = True
        self._file: IO[bytes] | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole records."""
        return self._end

    def append(self, session: Snapshot, shown: ShownMasks, window: int, *, durable: bool = True) -> None:
        """Write what changed since the last record. Raises `FormatError` if that failed; what was there before is kept.

        Args:
            session: What it is now.
            shown: The masks of its frames.
            window: Frames of an object that are written with their memories; so are those near the end of a pass.
            durable: Whether it is on the disk then; if not, it survives a kill of the process.
        """
        tracks, before = session.tracks, self._kept
        events, earlier = ([event for event, _ in one.log] for one in (session, before))
        keep = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(events, earlier, strict=False)))
        lost, change = change_between(before.tracks, tracks)
        noted = session.notes != before.notes
        if keep == len(events) == len(earlier) and not (lost or change["new"] or noted):
            if durable and not self._flushed:
                self._write(b"", durable)
            return
        last = events[-1].last if events and isinstance(events[-1], Followed) else None
        few = len(lost) <= window * max(len(tracks), 1)

        def whole(kind: Kind, frame: int) -> bool:
            return kind == "prompted" or few or (last is not None and abs(frame - last) <= window)

        record = pack_items(
            [item_of(tracks, key, shown, whole=whole(*key[1:])) for key in lost],
            changes=[change],
            events=[keep, [event_to_json(event) for event in events[keep:]]],
            times=[[frame, session.times.get(frame, 0.0)] for frame in {frame for _, _, frame in lost}],
            **({"notes": session.notes} if noted else {}),
        )
        self._write(len(record).to_bytes(8, "little") + zlib.crc32(record).to_bytes(4, "little") + record, durable)
        self._kept = session

    def close(self) -> None:
        """Nothing is written from here on."""
        if self._file is not None:
            self._file.close()

    def _write(self, data: bytes, durable: bool) -> None:
        try:
            if self._file is None:
                self._file = self.path.open("r+b" if self._end else "w+b", buffering=0)
                self._file.truncate(self._end)
            if self._end == 0:
                data = MAGIC + digest_of(self._project) + data
            write(self._file, self._end, data)
            self._flushed = False
            if durable:
                os.fsync(self._file.fileno())
                self._flushed = True
        except OSError as error:
            if self._file is not None:
                self._file.truncate(self._end)
            raise write_error(self.path, error) from error
        self._end += len(data)


def journal_of(path: Path) -> Path:
    """The journal of a project file."""
    return path.with_name(f"{path.name}.journal")


def digest_of(path: Path) -> bytes:
    """32 bytes by which a project file is known: its log and its settings decide what is in it."""
    with zipfile.ZipFile(path) as members:
        return hashlib.sha256(members.read("masklet.json")).digest()


def reopened(path: Path, project: Project, found: Snapshot, engine: Engine, new: ObjectTrack) -> tuple[Snapshot, int]:
    """A session with what its journal has beyond its project file, and where the whole records of that end; 0 if there
    is none of this file. Raises `FormatError` if the journal is damaged or cannot be read, and `CheckpointError` if it
    was made with a model of other sizes."""
    end = 0
    for record, place in records_of(path):
        kept = replace(project, attachments={UNDO: record})
        try:
            (change,), told = changes_of(kept), metadata_of(record)
            keep, events = whole_number(told["events"][0]), told["events"][1]
            notes = told.get("notes", found.notes)
            times = {whole_number(frame): finite(time) for frame, time in told["times"]}
            entries: list[LogEntry] = [(event_from_json(event, project.size), None) for event in events]
        except DAMAGE as error:
            raise damaged(error) from error
        if keep > len(found.log):
            raise FormatError(f"{journal_of(path).name} has events that go on from none; give another copy")
        before = found.log[keep][1] if keep < len(found.log) else found.tracks
        tracks = applied(change, ItemReader(kept, engine).read(UNDO), found.tracks, new)
        end = place
        entries[:1] = [(event, before) for event, _ in entries[:1]]
        found = Snapshot(tracks, [*found.log[:keep], *entries], {**found.times, **times}, notes)
    return found, end


def records_of(path: Path) -> Iterator[tuple[bytes, int]]:
    """The whole records of the journal of a project file, each with the place where it ends."""
    file = journal_of(path)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise FormatError(f"{file} cannot be read: {error.strerror or error}") from error
    end = len(MAGIC) + 32
    if data[:end] != MAGIC + digest_of(path):
        return  # of a file that was there before
    while len(data) >= end + HEAD:
        length, check = (int.from_bytes(part, "little") for part in (data[end : end + 8], data[end + 8 : end + HEAD]))
        record = data[end + HEAD : end + HEAD + length]
        if zlib.crc32(record) != check:
            if len(data) > end + HEAD + length:
                raise FormatError(f"{file.name} is damaged at byte {end}; move it away to open {path.name} without it")
            return
        end += HEAD + length
        yield record, end


def forgotten(path: Path) -> None:
    """The project file has it all: the journal goes."""
    journal_of(path).unlink(missing_ok=True)
