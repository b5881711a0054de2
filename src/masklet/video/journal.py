"""What makes one state of a session of another: for undo at once after opening a project file, and for its journal.

A journal has what changed since the session was saved, in a file beside it that only grows, so that a kill loses one
frame at most. A record is its length and checksum, 8 and 4 bytes, and a safetensors file like the attachments of a
project: the change as `change_between` tells it, the frames that it puts in, and the events. The last record may be cut
short. A journal names the project file that it goes on from, and says nothing of another.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice, takewhile
from pathlib import Path
from typing import IO, Any

from masklet.atomic import write_error
from masklet.engines.base import Engine
from masklet.errors import FormatError
from masklet.formats.project_file import Lazy, Project, manifest_digest, spans_of
from masklet.video import edits, packing
from masklet.video.events import Event, Followed, LogEntry, event_from_json, event_to_json, whole_number
from masklet.video.packing import EntryKind, FrameKey
from masklet.video.result import ShownMasks
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack, Tracks
from masklet.video.store import StoredFrames, stored, write_record

UNDONE_AT_ONCE = 8
"""The most events whose changes a file holds."""

MAX_LOST = 512
"""Of older ones only while they took no more frames than these."""

MAGIC = b"masklet journal 1\n"

RECORD_HEADER = struct.Struct("<QI")
"""Before a record: its length, and its checksum."""


@dataclass(frozen=True)
class Snapshot:
    """What a file keeps of a session."""

    tracks: Tracks
    log: Sequence[LogEntry]  # with the states before as far as they are known
    times: Mapping[int, float]  # of the known frames, in seconds
    notes: Mapping[str, Any]  # a program's own


def pack_changes(now: Tracks, log: Sequence[LogEntry], shown: ShownMasks) -> bytes:
    """The changes of the newest entries of a log, the newest first: frames to remove from the state after an event, and
    frames to put back, which gives the state before."""
    items: list[packing.PackedFrame] = []
    changes: list[dict[str, Any]] = []

    for _, before in log[: -UNDONE_AT_ONCE - 1 : -1]:
        if before is None:
            break
        lost, change = change_between(now, before)
        if changes and len(items) + len(lost) > MAX_LOST:
            break
        items += [packing.packed_item(before, key, shown) for key in lost]
        changes.append(change)
        now = before
    return packing.pack_items(items, changes=changes) if changes else b""


def change_between(now: Tracks, wanted: Tracks) -> tuple[list[FrameKey], dict[str, Any]]:
    """What makes the state `wanted` of the state `now`: frames to put in, and all else that `applied` needs, such as
    frames to take out, and tracked frames of an object that another one has now."""
    lost: list[FrameKey] = []
    new: list[tuple[ObjectId, EntryKind, int, int]] = []
    moved: dict[tuple[ObjectId, ObjectId], list[int]] = {}
    for name, track in wanted.items():
        for kind in packing.ENTRY_KINDS:
            there = getattr(track, kind)
            frames = sorted(differing(there, getattr(now[name], kind) if name in now else {}))
            new += [(name, kind, *span) for span in spans_of(f for f in frames if f not in there)]
            others = {other: its.tracked for other, its in now.items()} if kind == "tracked" else {}
            for frame in (f for f in frames if f in there):
                owners = (other for other, its in others.items() if stored(there).has_from(frame, its))
                if (owner := next(owners, None)) is None:
                    lost.append((name, kind, frame))
                else:
                    moved.setdefault((name, owner), []).append(frame)
    objects = [[n, t.number, list(t.prompted), packing.facts_to_json(t, now.get(n))] for n, t in wanted.items()]
    told = [(name, owner, frames) for (name, owner), frames in moved.items()]
    return lost, {"lost": len(lost), "new": new, "moved": told, "objects": objects}


def differing(old: Mapping[int, KnownFrame], now: Mapping[int, KnownFrame]) -> set[int]:
    """Frames that only one of two mappings has, or that differ."""
    if isinstance(old, StoredFrames) and isinstance(now, StoredFrames):
        return old.differing(now)
    return {frame for frame in {*old, *now} if old.get(frame) is not now.get(frame)}


def applied(
    change: Mapping[str, Any], items: Iterator[tuple[object, EntryKind, KnownFrame]], now: Tracks, new: ObjectTrack
) -> Tracks:
    """The state that a change, as `change_between` made it, makes of another. Of the items, frames to put in, as many
    are taken as belong to it. Raises `FormatError` if they do not fit."""
    now, wanted = dict(now), dict[ObjectId, ObjectTrack]()  # a later state takes its own frames of the items first
    for name, number, _, facts in change["objects"]:
        wanted[name] = replace(now.get(name) or new, number=number, **facts)
    for name, kind, first, last in change["new"]:
        if kind == "tracked":  # the prompted ones are in no order below
            tracked = wanted[name].tracked
            left = tracked.taking(range(first, last + 1), tracked.nothing())
            wanted[name] = replace(wanted[name], tracked=left)
    for name, other, frames in change["moved"]:
        if other not in now:
            raise FormatError(f"the project moved frames of {other!r}, which was not there; give another copy")
        taken = wanted[name].tracked.taking(frames, now[other].tracked)
        wanted[name] = replace(wanted[name], tracked=taken)
    for name, kind, known in islice(items, change["lost"]):
        wanted = dict(with_frame(wanted, name, kind, known))
    for name, _, order, _ in change["objects"]:
        prompted = wanted[name].prompted
        wanted[name] = replace(wanted[name], prompted={f: prompted[f] for f in order if f in prompted})
    return wanted


def changes_of(project: Project) -> list[dict[str, Any]]:
    """The changes of the newest events, the newest first; none of a file of the first versions, which kept them in
    another form: undo computes them again. Raises `FormatError` if that is damaged."""
    data = project.attachments.get(packing.UNDO_ATTACHMENT, b"")
    with packing.undamaged_session():
        listed = packing.metadata_of(data)["changes"] if data else []
        if any("moved" not in change for change in listed):
            return []
        return [packing.checked_change(change, project.size) for change in listed]


def with_frame(tracks: Tracks, name: object, kind: EntryKind, known: KnownFrame) -> Tracks:
    """With one more frame of an object, named as a file has it. Raises `FormatError` if there is none of this name."""
    if not isinstance(name, int | str) or name not in tracks:
        raise FormatError(f"the project remembers {name!r}, which is none of its objects; give another copy")
    keep = edits.approved if kind == "prompted" else edits.tracked
    return {**tracks, name: keep(tracks[name], known)}


def log_of(project: Project, events: Sequence[Event], now: Tracks, new: ObjectTrack, engine: Engine) -> list[LogEntry]:
    """The events, with the states before the newest ones, which are made of their changes when they are asked for: that
    may raise `FormatError`."""
    lost = packing.read_items(project, packing.UNDO_ATTACHMENT, engine)

    def before(change: Mapping[str, Any], now: Tracks) -> Tracks:
        made = cache(partial(applied, change, lost, now, new))
        return Lazy((name for name, *_ in change["objects"]), lambda name: made()[name])

    log: list[LogEntry] = [(event, None) for event in events]
    for back, change in enumerate(changes_of(project)[: len(log)], start=1):
        now = before(change, now)
        log[-back] = (events[-back], now)
    return log


class Journal:
    """The changes of a session since its project file was written. `session` is what that, and the records that are
    there already, keep; they end at `end`, which is 0 if the journal is to begin anew."""

    def __init__(self, path: Path, session: Snapshot, end: int = 0) -> None:
        self.path = journal_of(path)
        self._project = path
        self._kept = session
        self.size = end  # bytes of the whole records
        self._flushed = True
        self._file: IO[bytes] | None = None

    def append(self, session: Snapshot, shown: ShownMasks, window: int, *, durable: bool = True) -> None:
        """Write what changed since the last record, to the disk if `durable`; else it survives a kill of the process.
        A `window` of frames of each object is written with memories; of more, those near the end of a pass. Raises
        `FormatError` if that failed; what was there before is kept."""
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
        near = range(0) if last is None else range(last - window, last + window + 1)
        few = len(lost) <= window * max(len(tracks), 1)
        record = packing.pack_items(
            [packing.packed_item(tracks, key, None if few or key[2] in near else shown) for key in lost],
            changes=[change],
            events=[keep, [event_to_json(event) for event in events[keep:]]],
            times=[[frame, session.times[frame]] for frame in {key[2] for key in lost} & session.times.keys()],
            **({"notes": session.notes} if noted else {}),
        )
        self._write(RECORD_HEADER.pack(len(record), zlib.crc32(record)) + record, durable)
        self._kept = session

    def close(self) -> None:
        """Nothing is written from here on."""
        if self._file is not None:
            self._file.close()

    def _write(self, data: bytes, durable: bool) -> None:
        try:
            if self._file is None:
                self._file = self.path.open("r+b" if self.size else "w+b", buffering=0)
                self._file.truncate(self.size)
            if self.size == 0:
                data = MAGIC + manifest_digest(self._project) + data
            write_record(self._file, self.size, data)
            self._flushed = False
            if durable:
                os.fsync(self._file.fileno())
                self._flushed = True
        except OSError as error:
            if self._file is not None:
                self._file.truncate(self.size)
            raise write_error(self.path, error) from error
        self.size += len(data)


def journal_of(path: Path) -> Path:
    """The journal of a project file."""
    return path.with_name(f"{path.name}.journal")


def reopened(path: Path, project: Project, found: Snapshot, engine: Engine, new: ObjectTrack) -> tuple[Snapshot, int]:
    """A session with what its journal has beyond its project file, and where the whole records of that end; 0 if there
    is none of this file. Raises `FormatError` if the journal is damaged or cannot be read, and `CheckpointError` if it
    was made with a model of other sizes."""
    end = 0
    for record, place in records_of(path, project.digest):
        kept = replace(project, attachments={packing.UNDO_ATTACHMENT: record})
        with packing.undamaged_session():
            (change,), told = changes_of(kept), packing.metadata_of(record)
            keep, events = whole_number(told["events"][0]), told["events"][1]
            notes = told.get("notes", found.notes)
            times = {whole_number(frame): packing.finite(time) for frame, time in told["times"]}
            entries: list[LogEntry] = [(event_from_json(event, project.size), None) for event in events]
        if keep > len(found.log):
            raise FormatError(f"{journal_of(path).name} has events that go on from none; give another copy")
        before = found.log[keep][1] if keep < len(found.log) else found.tracks
        tracks = applied(change, packing.read_items(kept, packing.UNDO_ATTACHMENT, engine), found.tracks, new)
        entries[:1] = [(event, before) for event, _ in entries[:1]]
        found, end = Snapshot(tracks, [*found.log[:keep], *entries], {**found.times, **times}, notes), place
    return found, end


def records_of(path: Path, digest: bytes) -> Iterator[tuple[bytes, int]]:
    """The whole records of the journal of a project file of this digest, each with the place where it ends."""
    file = journal_of(path)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise FormatError(f"{file} cannot be read: {error.strerror or error}") from error
    end = len(MAGIC) + 32
    if data[:end] != MAGIC + digest:
        return  # of a file that was there before
    while len(data) >= (begin := end + RECORD_HEADER.size):
        length, check = RECORD_HEADER.unpack_from(data, end)
        record = data[begin : begin + length]
        if zlib.crc32(record) != check:
            if len(data) > begin + length:
                raise FormatError(f"{file.name} is damaged at byte {end}; move it away to open {path.name} without it")
            return
        end = begin + length
        yield record, end
