"""A session's state, and what each event makes of it: pure functions, so that keeping the old state is undo."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from masklet.errors import SessionError
from masklet.formats.description import Description
from masklet.prompts import Prompt
from masklet.video.events import Direction, Range
from masklet.video.overlap import FinalMask
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack, Tracks


def free_number(tracks: Tracks, name: ObjectId) -> int:
    """The number of a new object in index maps: its name, if that is a whole number from 1 to 254 and free, or the
    lowest that is free. 255 stands for "unknown" in the field's index maps."""
    taken = {track.number for track in tracks.values()}
    if isinstance(name, int) and 1 <= name <= 254 and name not in taken:
        return name
    return next(number for number in itertools.count(1) if number not in taken)


def asked(track: ObjectTrack, frame: int, prompt: Prompt) -> ObjectTrack:
    """The object with a prompt that is not answered yet."""
    return replace(track, prompts={**track.prompts, frame: prompt})


def answered(track: ObjectTrack, prompt: Prompt, answer: KnownFrame) -> ObjectTrack:
    """The object with a prompt and its answer, which conditions all other frames: a correction always counts."""
    return approved(asked(track, answer.frame, prompt), answer)


def approved(track: ObjectTrack, known: KnownFrame) -> ObjectTrack:
    """The object with a frame that a person answers for. What was tracked on it stays beneath."""
    others = {f: other for f, other in track.prompted.items() if f != known.frame}
    return replace(track, prompted={**others, known.frame: known})


def passes(
    tracks: Tracks, start: int | None, stop: int | None, direction: Direction, only: ObjectId | None
) -> Sequence[Range]:
    """The passes that `VideoTracker.propagate` makes.

    Raises `SessionError` if nothing is prompted, or `stop` lies on the wrong side of `start`.
    """
    prompted = prompted_frames(tracks, only)
    apart = direction == "both"
    forward = Range(min(prompted) if start is None else start, stop, backward=False, apart=apart)
    backward = Range(max(prompted) if start is None else start, None if apart else stop, backward=True, apart=apart)
    chosen = {"forward": (forward,), "backward": (backward,), "both": (backward, forward)}[direction]
    for span in chosen:
        span.check()
    return chosen


def followed(tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
    """With what the tracker found of objects in a frame."""
    return {**tracks, **{name: tracked(tracks[name], known) for name, known in found.items()}}


def tracked(track: ObjectTrack, known: KnownFrame) -> ObjectTrack:
    """The object with one more frame that the tracker found."""
    return replace(track, tracked=track.tracked.adding(known))


def cleared(tracks: Tracks, frame: int, name: ObjectId) -> Tracks:
    """Without the prompt on a frame, and without what came of it there: what was tracked there before comes back. An
    object whose last prompt goes is not followed any more: what was found of it goes too."""
    track = known_track(tracks, name)
    if frame not in track.prompted:
        raise no_prompt(name, frame, track.prompted)
    prompts = {f: prompt for f, prompt in track.prompts.items() if f != frame}
    prompted = {f: known for f, known in track.prompted.items() if f != frame}
    left = replace(track, prompts=prompts, prompted=prompted)
    return {**tracks, name: left if prompted else replace(left, tracked=track.tracked.nothing())}


def removed(tracks: Tracks, name: ObjectId) -> Tracks:
    """Without an object; the others are as they were."""
    known_track(tracks, name)
    return {other: track for other, track in tracks.items() if other != name}


def described(tracks: Tracks, name: ObjectId, track: ObjectTrack, description: Description) -> Tracks:
    """With a description of an object, which may be new."""
    return {**tracks, name: replace(track, description=description)}


def locked(tracks: Tracks, frame: int, shown: Mapping[ObjectId, FinalMask]) -> Tracks:
    """With every object's mask on a frame, as it is `shown`, standing as if a person had given it."""
    known = {name: track for name, track in tracks.items() if track.stats(frame) is not None}
    if not known:
        raise SessionError(f"nothing is known of frame {frame}; propagate over it before it is locked")
    stands = {
        name: approved(track, replace(track.whole(frame), exact_mask=shown[name])) for name, track in known.items()
    }
    return {**tracks, **stands}


def known_track(tracks: Tracks, name: ObjectId) -> ObjectTrack:
    """The object's track. Raises `SessionError` for an unknown object."""
    if name not in tracks:
        known = ", ".join(repr(other) for other in tracks) or "none yet"
        raise SessionError(f"there is no object {name!r}; known objects: {known}")
    return tracks[name]


def no_prompt(name: ObjectId, frame: int, prompted: Mapping[int, object]) -> SessionError:
    """The error for clearing a frame without a prompt."""
    where = ", ".join(str(f) for f in sorted(prompted)) or "none"
    return SessionError(f"object {name!r} has no prompt on frame {frame}; its prompted frames are: {where}")


def prompted_frames(tracks: Tracks, only: ObjectId | None) -> list[int]:
    """Frames on which the objects to follow are prompted. Raises `SessionError` if there are none."""
    chosen = tracks if only is None else {only: known_track(tracks, only)}
    frames = [frame for track in chosen.values() for frame in track.prompted]
    if not frames:
        raise SessionError("no object is prompted; call add_points, add_box or add_mask before propagate")
    return frames


def known_frames(tracks: Tracks) -> list[int]:
    """Frames of which something is known, in their order."""
    return sorted({f for track in tracks.values() for f in (*track.prompts, *track.prompted, *track.tracked)})


def doubts(tracks: Tracks) -> dict[int, dict[ObjectId, str]]:
    """By frame, in their order, the objects at which a person should look, and why."""
    found: dict[int, dict[ObjectId, str]] = {}
    for name, track in tracks.items():
        for stats in track.tracked.every():
            if stats.doubt and stats.frame not in track.prompted:
                found.setdefault(stats.frame, {})[name] = stats.doubt
    return dict(sorted(found.items()))


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
