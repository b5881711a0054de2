"""What makes one state of a session of another: for undo at once after opening a project file, and for its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from typing import Any

from masklet.errors import FormatError, SessionError
from masklet.formats.project_file import Project, spans_of
from masklet.video import edits
from masklet.video.events import Event, LogEntry, checked_object
from masklet.video.json_values import (
    DAMAGE,
    KINDS,
    Kind,
    damaged,
    facts_from_json,
    facts_of,
    kind_of,
    span_from_json,
    whole_number,
)
from masklet.video.overlap import FinalMask
from masklet.video.packing import UNDO, Item, ItemReader, Key, lean_item, metadata_of, pack_items, whole_item
from masklet.video.result import ShownMasks
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack, Tracks
from masklet.video.store import StoredFrames

Moved = tuple[ObjectId, ObjectId, list[int]]
"""An object, another one, and frames of which the other has now what the first had."""


UNDONE_AT_ONCE = 8
"""The most events whose changes a file holds."""

MOST_LOST = 512
"""Of older ones only while they took no more frames than these."""


def pack_changes(now: Tracks, log: Sequence[LogEntry], shown: ShownMasks) -> bytes:
    """The changes of the newest entries of a log, the newest first: frames to remove from the state after an event, and
    frames to put back, which gives the state before."""
    items: list[Item] = []
    changes: list[dict[str, Any]] = []

    for _, before in log[: -UNDONE_AT_ONCE - 1 : -1]:
        if before is None:
            break
        lost, change = change_between(now, before)
        if changes and len(items) + len(lost) > MOST_LOST:
            break
        items += [item_of(before, key, shown, whole=key[1] == "prompted") for key in lost]
        changes.append(change)
        now = before
    return pack_items(items, changes=changes) if changes else b""


def change_between(now: Tracks, wanted: Tracks) -> tuple[list[Key], dict[str, Any]]:
    """What makes the state `wanted` of the state `now`: frames to put into it, and all else that `applied` needs."""
    lost, new = changed(wanted, now)
    lost, moved = stays_elsewhere(wanted, now, lost)
    objects = [[n, track.number, list(track.prompted), facts_of(track, now.get(n))] for n, track in wanted.items()]
    return lost, {"lost": len(lost), "new": new, "moved": moved, "objects": objects}


def changed(before: Tracks, after: Tracks) -> tuple[list[Key], list[tuple[ObjectId, Kind, int, int]]]:
    """The frames of the state before that are not in the one after, or are others there; and those that are new there,
    as ranges. All frames of a removed object are lost."""
    lost: list[Key] = []
    new: list[tuple[ObjectId, Kind, int, int]] = []
    for name, track in before.items():
        for kind in KINDS:
            old = getattr(track, kind)
            now = getattr(after[name], kind) if name in after else {}
            frames = sorted(differing(old, now))
            lost += [(name, kind, frame) for frame in frames if frame in old]
            new += [(name, kind, *span) for span in spans_of(frame for frame in frames if frame not in old)]
    return lost, new


def stays_elsewhere(before: Tracks, after: Tracks, lost: Sequence[Key]) -> tuple[list[Key], list[Moved]]:
    """What of the lost frames is gone, and the tracked ones that another object has now."""
    gone: list[Key] = []
    moved: dict[tuple[ObjectId, ObjectId], list[int]] = {}
    for name, kind, frame in lost:
        tracked = before[name].tracked
        assert isinstance(tracked, StoredFrames), "only what lies in a store is packed"
        others = (
            other for other, track in after.items() if kind == "tracked" and tracked.has_from(frame, track.tracked)
        )
        other = next(others, None)
        if other is None:
            gone.append((name, kind, frame))
        else:
            moved.setdefault((name, other), []).append(frame)
    return gone, [(name, other, frames) for (name, other), frames in moved.items()]


def differing(old: Mapping[int, KnownFrame], now: Mapping[int, KnownFrame]) -> set[int]:
    """Frames that only one of two mappings has, or that differ."""
    if isinstance(old, StoredFrames) and isinstance(now, StoredFrames):
        return old.differing(now)
    return {frame for frame in {*old, *now} if old.get(frame) is not now.get(frame)}


def applied(
    change: Mapping[str, Any], items: Iterator[tuple[object, Kind, KnownFrame]], now: Tracks, new: ObjectTrack
) -> Tracks:
    """The state that a change, as `change_between` made it, makes of another. Of the items, frames to put in, as many
    are taken as belong to it. Raises `FormatError` if they do not fit."""
    now, wanted = dict(now), dict[ObjectId, ObjectTrack]()  # a later state takes its own frames of the items first
    for name, number, _, facts in change["objects"]:
        wanted[name] = replace(now.get(name) or new, number=number, **facts)
    for name, kind, first, last in change["new"]:
        wanted[name] = without_frames(wanted[name], kind, range(first, last + 1))
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
    data = project.attachments.get(UNDO, b"")
    try:
        listed = metadata_of(data)["changes"] if data else []
        if any("moved" not in change for change in listed):
            return []
        return [checked_change(change, project.size) for change in listed]
    except (SessionError, *DAMAGE) as error:
        raise damaged(error) from error


def checked_change(change: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The checked change of one event. Raises `TypeError`, `ValueError` or `SessionError` for values of other kinds."""
    objects = [
        (checked_object(name), whole_number(number), [whole_number(f) for f in order], facts_from_json(facts, size))
        for name, number, order, facts in change["objects"]
    ]
    known = {name for name, *_ in objects}
    new = [(checked_object(name), kind_of(kind), *span_from_json(span)) for name, kind, *span in change["new"]]
    moved = [
        (checked_object(name), checked_object(other), [whole_number(f) for f in frames])
        for name, other, frames in change["moved"]
    ]
    if not {name for name, *_ in (*new, *moved)} <= known:
        raise ValueError("an event changed an object that is not there")
    return {"lost": whole_number(change["lost"]), "new": new, "moved": moved, "objects": objects}


def with_frame(tracks: Tracks, name: object, kind: Kind, known: KnownFrame) -> Tracks:
    """With one more frame of an object, named as a file has it. Raises `FormatError` if there is none of this name."""
    if not isinstance(name, int | str) or name not in tracks:
        raise FormatError(f"the project remembers {name!r}, which is none of its objects; give another copy")
    keep = edits.approved if kind == "prompted" else edits.tracked
    return {**tracks, name: keep(tracks[name], known)}


def without_frames(track: ObjectTrack, kind: Kind, frames: range) -> ObjectTrack:
    """The object without some frames."""
    if kind == "tracked":
        return replace(track, tracked=track.tracked.taking(frames, track.tracked.nothing()))
    return replace(track, prompted={f: known for f, known in track.prompted.items() if f not in frames})


def item_of(tracks: Tracks, key: Key, shown: ShownMasks, *, whole: bool) -> Item:
    """A frame whole, or without its memory and with its mask."""
    name, kind, frame = key
    track = tracks[name]
    if whole:
        return whole_item(track, name, kind, frame)
    return lean_item(track, name, frame, None if frame in track.prompted else beneath(tracks, name, frame, shown))


def beneath(tracks: Tracks, name: ObjectId, frame: int, shown: ShownMasks) -> FinalMask:
    """The mask that was tracked of an object in a frame, as it is shown, or would be if nobody had said that it is
    absent there."""
    if tracks[name].is_absent(frame):
        tracks = {**tracks, name: replace(tracks[name], absent=())}
    return FinalMask.of(shown(tracks, frame).objects[name])


def log_of(
    events: Sequence[Event], changes: Sequence[Mapping[str, Any]], reader: ItemReader, now: Tracks, new: ObjectTrack
) -> list[LogEntry]:
    """The events, with the states before the newest ones, which are made of their changes when they are asked for."""
    log: list[LogEntry] = [(event, None) for event in events]
    lost = reader.read(UNDO) if changes else iter(())
    for back, change in enumerate(changes[: len(log)], start=1):
        now = EarlierTracks(partial(applied, change, lost, now, new))
        log[-back] = (events[-back], now)
    return log


class EarlierTracks(Mapping[ObjectId, ObjectTrack]):
    """An earlier state, made when it is asked for: that may raise `FormatError`."""

    def __init__(self, make: Callable[[], Tracks]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Tracks:
        return self._make()

    def __getitem__(self, name: ObjectId) -> ObjectTrack:
        return self._made[name]

    def __iter__(self) -> Iterator[ObjectId]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)
