"""Who is who: two objects exchanged from a frame on, one divided, two joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from masklet.errors import SessionError
from masklet.formats.project import Spans
from masklet.video.session import frames_of, free_number, known_track
from masklet.video.state import (
    KnownFrame,
    KnownFrames,
    ObjectId,
    ObjectTrack,
    Tracks,
    parted,
    with_span,
    within,
    without_span,
)
from masklet.video.step import union

T = TypeVar("T")


def swapped(tracks: Tracks, frame: int, name: ObjectId, other: ObjectId) -> Tracks:
    """With what is known of two objects from a frame on exchanged."""
    one, two = pair(tracks, name, other)
    if not any(f >= frame for track in (one, two) for f in frames_of(track)):
        raise SessionError(f"nothing is known of {name!r} and {other!r} from frame {frame} on; give an earlier frame")
    return {**tracks, name: switched(one, frame, two), other: switched(two, frame, one)}


def split(tracks: Tracks, frame: int, name: ObjectId, new: ObjectId) -> Tracks:
    """With what is known of an object from a frame on as a new object, of the same category and attributes."""
    track = known_track(tracks, name)
    if new in tracks:
        raise SessionError(f"there is an object {new!r} already; give a new name, or swap or merge them")
    if {f < frame for f in frames_of(track)} != {True, False}:
        raise SessionError(
            f"frame {frame} does not divide what is known of {name!r}; give one between its known frames"
        )
    nothing = ObjectTrack(track.tracked.nothing(), number=free_number(tracks, new))
    later = replace(switched(nothing, frame, track), description=replace(track.description, title="", colour=""))
    return {**tracks, name: switched(track, frame, nothing), new: later}


def switched(track: ObjectTrack, frame: int, other: ObjectTrack) -> ObjectTrack:
    """The object with all that is known of another one from a frame on in place of its own."""

    def both(own: Mapping[int, T], theirs: Mapping[int, T]) -> dict[int, T]:
        before = {f: value for f, value in own.items() if f < frame}
        return {**before, **{f: value for f, value in theirs.items() if f >= frame}}

    return replace(
        track,
        tracked=track.tracked.taking({f for f in (*track.tracked, *other.tracked) if f >= frame}, other.tracked),
        prompts=both(track.prompts, other.prompts),
        prompted=both(track.prompted, other.prompted),
        absent=parted(track.absent, frame)[0] + parted(other.absent, frame)[1],
        accepted=parted(track.accepted, frame)[0] + parted(other.accepted, frame)[1],
        absence=track.absence or other.absence,
    )


def unanswered(track: ObjectTrack, frame: int) -> int | None:
    """The frame nearest to one on which an object is seen for which no person answers any more; None if a person does,
    or it is seen nowhere."""
    if track.prompted:
        return None
    seen = [stats.frame for stats in track.tracked.every() if stats.presence > 0 and not track.is_absent(stats.frame)]
    return min(seen, key=lambda f: (abs(f - frame), f), default=None)


def merged(
    tracks: Tracks,
    name: ObjectId,
    into: ObjectId,
    size: tuple[int, int],
    encode: Callable[[KnownFrame], KnownFrame],
) -> Tracks:
    """With an object as a part of another one. On a frame that both know, the one for which a person answers stays; of
    two of a kind the one that is seen, or the union of both.

    Args:
        tracks: The state.
        name: The object that goes.
        into: The one that stays.
        size: (height, width) of the picture.
        encode: Encodes the memory of a frame, as a frame for which a person answers has one.
    """
    two, one = pair(tracks, name, into)
    prompts, prompted = dict(one.prompts), dict(one.prompted)
    for frame, known in two.prompted.items():
        mine = prompted.get(frame)
        if mine is not None and mine.presence > 0:
            if known.presence > 0:
                prompted[frame] = encode(union(mine, known, size))
                prompts.pop(frame, None)
            continue
        prompted[frame] = known
        prompts.pop(frame, None)
        if frame in two.prompts:
            prompts[frame] = two.prompts[frame]
    after = replace(
        one,
        prompts=prompts,
        prompted=prompted,
        tracked=joined_frames(one, two, size),
        absent=joined_absence(one, two, prompted),
        accepted=with_spans(one.accepted, two.accepted),
        absence=one.absence or two.absence,
    )
    return {other: after if other == into else track for other, track in tracks.items() if other != name}


def joined_frames(one: ObjectTrack, two: ObjectTrack, size: tuple[int, int]) -> KnownFrames:
    """The tracked frames of two objects as those of the first."""
    taken: list[int] = []
    unions: list[KnownFrame] = []
    for theirs in two.tracked.every():
        frame = theirs.frame
        if two.is_absent(frame):
            continue
        mine = None if one.is_absent(frame) else one.tracked.stats(frame)
        more = within(frame, two.accepted) - within(frame, one.accepted)
        seen = theirs.presence > 0
        if mine is None or more > 0 or (more == 0 and seen and mine.presence <= 0):
            taken.append(frame)
        elif more == 0 and seen:
            unions.append(union(one.tracked[frame], two.tracked[frame], size))
    tracked = one.tracked.taking(taken, two.tracked)
    for new in unions:
        tracked = tracked.adding(new)
    return tracked


def joined_absence(one: ObjectTrack, two: ObjectTrack, prompted: Mapping[int, object]) -> Spans:
    """Where two objects that are one are absent: where a person said so of one, and the other is not seen."""
    absent = with_spans(one.absent, two.absent)
    seen = [
        stats.frame
        for track in (one, two)
        for stats in track.tracked.every()
        if stats.presence > 0 and not track.is_absent(stats.frame) and within(stats.frame, absent)
    ]
    for frame in (*seen, *prompted):
        absent = without_span(absent, frame, frame)
    return absent


def with_spans(spans: Spans, others: Spans) -> Spans:
    """Frames that are in either."""
    for first, last in others:
        spans = with_span(spans, first, last)
    return spans


def pair(tracks: Tracks, name: ObjectId, other: ObjectId) -> tuple[ObjectTrack, ObjectTrack]:
    """The tracks of two objects. Raises `SessionError` if one is unknown, or both are the same."""
    one, two = known_track(tracks, name), known_track(tracks, other)
    if name == other:
        raise SessionError(f"object {name!r} is given twice; give two objects")
    return one, two
