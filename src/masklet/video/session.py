"""A session's state, and what each event makes of it: pure functions, so that keeping the old state is undo."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from masklet.errors import SessionError
from masklet.formats.description import Description
from masklet.formats.project import spans_of
from masklet.prompts import Prompt
from masklet.video.events import Direction, Mark, Range
from masklet.video.overlap import FinalMask
from masklet.video.state import (
    KnownFrame,
    ObjectId,
    ObjectTrack,
    Tracks,
    with_span,
    without_span,
)


def free_number(tracks: Tracks, name: ObjectId) -> int:
    """The number of a new object in index maps: its name, if that is a whole number from 1 to 254 and free, or the
    lowest that is free. 255 stands for "unknown" in the field's index maps."""
    taken = {track.number for track in tracks.values()}
    if isinstance(name, int) and 1 <= name <= 254 and name not in taken:
        return name
    return next(number for number in itertools.count(1) if number not in taken)


def free_numbers(tracks: Tracks, count: int) -> list[int]:
    """The lowest whole numbers from 1 on that are no object's name."""
    return list(itertools.islice((number for number in itertools.count(1) if number not in tracks), count))


def asked(track: ObjectTrack, frame: int, prompt: Prompt) -> ObjectTrack:
    """The object with a prompt that is not answered yet. What was said of the frame before does not count any more."""
    absent, accepted = (without_span(spans, frame, frame) for spans in (track.absent, track.accepted))
    return replace(track, prompts={**track.prompts, frame: prompt}, absent=absent, accepted=accepted)


def answered(track: ObjectTrack, prompt: Prompt, answer: KnownFrame) -> ObjectTrack:
    """The object with a prompt and its answer, which conditions all other frames: a correction always counts."""
    return approved(asked(track, answer.frame, prompt), answer)


def approved(track: ObjectTrack, known: KnownFrame) -> ObjectTrack:
    """The object with a frame that a person answers for. What was tracked on it stays beneath."""
    others = {f: other for f, other in track.prompted.items() if f != known.frame}
    return replace(track, prompted={**others, known.frame: known})


def passes(
    tracks: Tracks,
    start: int | None,
    stop: int | None,
    direction: Direction,
    only: ObjectId | None,
    within: range | None = None,
) -> Sequence[Range]:
    """The passes that `VideoTracker.propagate` makes.

    Raises `SessionError` if nothing is prompted, or `stop` lies on the wrong side of `start`.
    """
    prompted = prompted_frames(tracks, only)
    apart = direction == "both"
    forward = Range(min(prompted) if start is None else start, stop, backward=False, apart=apart)
    backward = Range(max(prompted) if start is None else start, None if apart else stop, backward=True, apart=apart)
    chosen = {"forward": (forward,), "backward": (backward,), "both": (backward, forward)}[direction]
    if within is not None:
        chosen = tuple(span.inside(within) for span in chosen)
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
    return {**tracks, name: left if prompted else replace(left, tracked=track.tracked.nothing(), accepted=())}


def removed(tracks: Tracks, name: ObjectId) -> Tracks:
    """Without an object; the others are as they were."""
    known_track(tracks, name)
    return {other: track for other, track in tracks.items() if other != name}


def described(tracks: Tracks, name: ObjectId, track: ObjectTrack, description: Description) -> Tracks:
    """With a description of an object, which may be new."""
    return {**tracks, name: replace(track, description=description)}


def locked(tracks: Tracks, frame: int, shown: Mapping[ObjectId, FinalMask], only: ObjectId | None = None) -> Tracks:
    """With every object's mask on a frame, or that of one, as it is `shown`, standing as if a person had given it.
    Where a person said that an object is absent, that stands already."""
    chosen = tracks if only is None else {only: known_track(tracks, only)}
    known = {name: track for name, track in chosen.items() if track.remembered(frame) is not None}
    if not known:
        what = "" if only is None else f" object {only!r} in"
        raise SessionError(f"nothing is known of{what} frame {frame}; propagate over it before it is locked")
    stands = {
        name: approved(track, replace(track.whole(frame), exact_mask=shown[name])) for name, track in known.items()
    }
    return {**tracks, **stands}


def marked(tracks: Tracks, name: ObjectId, first: int, last: int, mark: Mark | None, absence: KnownFrame) -> Tracks:
    """With a range of frames of an object accepted or without it, or with what was said of them taken back.

    Where it is absent, prompts and locks go; `absence` is what is known of it there. Accepted are the frames that are
    known, and for which no person answers yet.
    """
    track = known_track(tracks, name)
    place = f"object {name!r} in the frames {first} to {last}"
    if mark == "absent":
        after = replace(
            track,
            prompts={f: prompt for f, prompt in track.prompts.items() if not first <= f <= last},
            prompted={f: known for f, known in track.prompted.items() if not first <= f <= last},
            absent=with_span(track.absent, first, last),
            accepted=without_span(track.accepted, first, last),
            absence=absence,
        )
        return {**tracks, name: after}
    if mark == "accepted":
        known = [f for f in track.tracked if first <= f <= last and f not in track.prompted and not track.is_absent(f)]
        if not known:
            raise SessionError(f"nothing that may be accepted is known of {place}; propagate over them first")
        accepted = track.accepted
        for low, high in spans_of(sorted(known)):
            accepted = with_span(accepted, low, high)
        return {**tracks, name: replace(track, accepted=accepted)}
    absent, accepted = (without_span(spans, first, last) for spans in (track.absent, track.accepted))
    if (absent, accepted) == (track.absent, track.accepted):
        raise SessionError(f"{place} was neither accepted nor said to be absent; give frames that were")
    return {**tracks, name: replace(track, absent=absent, accepted=accepted)}


def frames_of(track: ObjectTrack) -> set[int]:
    """The frames of which something is known, or was said."""
    spans = (f for first, last in track.absent for f in range(first, last + 1))
    return {*track.prompts, *track.prompted, *track.tracked, *spans}


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
    return sorted(set[int]().union(*map(frames_of, tracks.values())))


def doubts(tracks: Tracks) -> dict[int, dict[ObjectId, str]]:
    """By frame, in their order, the objects at which a person should look, and why."""
    found: dict[int, dict[ObjectId, str]] = {}
    for name, track in tracks.items():
        for frame, doubt in track.tracked.doubts().items():
            if not track.stands(frame):
                found.setdefault(frame, {})[name] = doubt
    return dict(sorted(found.items()))


def to_follow(tracks: Tracks, frame: int, *, backward: bool = False, only: ObjectId | None = None) -> Tracks:
    """The objects that are to be followed into a frame."""
    return {
        name: track
        for name, track in tracks.items()
        if only in (None, name) and can_follow(track, frame, backward=backward)
    }


def can_follow(track: ObjectTrack, frame: int, *, backward: bool) -> bool:
    """Whether a frame is to be followed: no person answers for it already, but for one before it."""
    if track.stands(frame) or not track.prompted:
        return False
    return frame < max(track.prompted) if backward else frame > min(track.prompted)
