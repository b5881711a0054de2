"""A session's state, and what each event makes of it: pure functions, so that keeping the old state is undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from masklet.errors import SessionError
from masklet.prompts import Prompt
from masklet.video.state import MemoryEntry, ObjectId, ObjectTrack

Tracks = Mapping[ObjectId, ObjectTrack]
"""The state of a session: what is known of each object, in the order in which they were added."""


def asking(track: ObjectTrack, frame: int, prompt: Prompt) -> ObjectTrack:
    """The object with a prompt that is not answered yet."""
    return replace(track, prompts={**track.prompts, frame: prompt})


def answered(track: ObjectTrack, entry: MemoryEntry) -> ObjectTrack:
    """The object with the answer to a prompt, which conditions all other frames: a correction always counts."""
    prompted = {f: known for f, known in track.prompted.items() if f != entry.frame}
    return replace(track, prompted={**prompted, entry.frame: entry}, tracked=track.tracked.without(entry.frame))


def followed(track: ObjectTrack, entry: MemoryEntry) -> ObjectTrack:
    """The object with one more frame that the tracker found."""
    return replace(track, tracked=track.tracked.adding(entry))


def cleared(tracks: Tracks, frame: int, name: ObjectId) -> Tracks:
    """Without the prompt on a frame, and without what came of it there. An object whose last prompt goes is not
    followed any more: what was found of it goes too."""
    track = known_track(tracks, name)
    if frame not in track.prompted:
        where = ", ".join(str(f) for f in sorted(track.prompted)) or "none"
        raise SessionError(f"object {name!r} has no prompt on frame {frame}; its prompted frames are: {where}")
    prompts = {f: prompt for f, prompt in track.prompts.items() if f != frame}
    prompted = {f: entry for f, entry in track.prompted.items() if f != frame}
    left = replace(track, prompts=prompts, prompted=prompted)
    return {**tracks, name: left if prompted else replace(left, tracked=track.tracked.nothing(), saved={})}


def removed(tracks: Tracks, name: ObjectId) -> Tracks:
    """Without an object; the others are as they were."""
    known_track(tracks, name)
    return {other: track for other, track in tracks.items() if other != name}


def locked(tracks: Tracks, frame: int) -> Tracks:
    """With every object's mask on a frame standing as if a person had given it."""
    entries = {name: track.entry(frame) for name, track in tracks.items()}
    if not any(entries.values()):
        raise SessionError(f"nothing is known of frame {frame}; propagate over it before it is locked")
    return {
        name: answered(track, entry) if (entry := entries[name]) is not None else track
        for name, track in tracks.items()
    }


def known_track(tracks: Tracks, name: ObjectId) -> ObjectTrack:
    """The object's track. Raises `SessionError` for an unknown object."""
    if name not in tracks:
        known = ", ".join(repr(other) for other in tracks) or "none yet"
        raise SessionError(f"there is no object {name!r}; known objects: {known}")
    return tracks[name]


def to_follow(tracks: Tracks, frame: int, *, backward: bool = False, only: ObjectId | None = None) -> Tracks:
    """The objects that are to be followed into a frame."""
    return {
        name: track
        for name, track in tracks.items()
        if only in (None, name) and can_follow(track, frame, backward=backward)
    }


def can_follow(track: ObjectTrack, frame: int, *, backward: bool) -> bool:
    """Whether a frame is to be followed: the object does not stand there already, but stands before it."""
    if frame in track.prompted or not track.prompted:
        return False
    return frame < max(track.prompted) if backward else frame > min(track.prompted)
