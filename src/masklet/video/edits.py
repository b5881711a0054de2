"""What an event makes of a session's state: pure functions, so that keeping the old state is undo."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from masklet.errors import SessionError
from masklet.formats.base import free_number
from masklet.formats.description import Description
from masklet.formats.project_file import Spans, spans_of
from masklet.prompts import Prompt
from masklet.video.events import Mark
from masklet.video.result import ShownMasks
from masklet.video.state import (
    KnownFrame,
    KnownFrames,
    ObjectId,
    ObjectTrack,
    Tracks,
    known_track,
    spliced,
    with_span,
    with_spans,
    within,
    without_span,
)
from masklet.video.step import merge_frames

T = TypeVar("T")


def unmarked(track: ObjectTrack, first: int, last: int) -> ObjectTrack:
    """The object without what was said of a range of frames: that it is absent there, or accepted."""
    absent, accepted = (without_span(spans, first, last) for spans in (track.absent, track.accepted))
    return replace(track, absent=absent, accepted=accepted)


def asked(track: ObjectTrack, frame: int, prompt: Prompt) -> ObjectTrack:
    """The object with a prompt that is not answered yet. What was said of the frame before does not count any more."""
    return replace(unmarked(track, frame, frame), prompts={**track.prompts, frame: prompt})


def approved(track: ObjectTrack, known: KnownFrame) -> ObjectTrack:
    """The object with a frame that a person answers for, which conditions all other frames: a correction always counts.
    What was tracked on it stays beneath."""
    others = {f: other for f, other in track.prompted.items() if f != known.frame}
    return replace(track, prompted={**others, known.frame: known})


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
        where = ", ".join(map(str, sorted(track.prompted))) or "none"
        raise SessionError(f"object {name!r} has no prompt on frame {frame}; its prompted frames are: {where}")
    prompts = {f: prompt for f, prompt in track.prompts.items() if f != frame}
    prompted = {f: known for f, known in track.prompted.items() if f != frame}
    left = replace(track, prompts=prompts, prompted=prompted)
    return {**tracks, name: left if prompted else replace(left, tracked=track.tracked.nothing(), accepted=())}


def removed(tracks: Tracks, name: ObjectId) -> Tracks:
    """Without an object; the others are as they were."""
    known_track(tracks, name)
    return {other: track for other, track in tracks.items() if other != name}


def track_of(tracks: Tracks, name: ObjectId, new: ObjectTrack) -> ObjectTrack:
    """What is known of an object; of one that is not there yet `new`, with a number of its own."""
    return tracks.get(name) or replace(new, number=free_number(name, {track.number for track in tracks.values()}))


def described(tracks: Tracks, name: ObjectId, description: Description, new: ObjectTrack) -> Tracks:
    """With a description of an object, which may be new."""
    return {**tracks, name: replace(track_of(tracks, name, new), description=description)}


def locked(tracks: Tracks, frame: int, shown: ShownMasks, only: ObjectId | None = None) -> Tracks:
    """With every object's mask on a frame, or that of one, as it is shown, standing as if a person had given it.
    Where a person said that an object is absent, that stands already."""
    chosen = tracks if only is None else {only: known_track(tracks, only)}
    known = {name: track for name, track in chosen.items() if track.remembered(frame) is not None}
    if not known:
        what = "" if only is None else f" object {only!r} in"
        raise SessionError(f"nothing is known of{what} frame {frame}; propagate over it before it is locked")
    masks = shown.final(tracks, frame)
    stands = {
        name: approved(track, replace(track.whole(frame), exact_mask=masks[name])) for name, track in known.items()
    }
    return {**tracks, **stands}


def marked(tracks: Tracks, name: ObjectId, first: int, last: int, mark: Mark | None) -> Tracks:
    """With a range of frames of an object accepted, those that are known and for which no person answers yet; or
    without it, its prompts and locks there too; or with what was said of them taken back."""
    track = known_track(tracks, name)
    place = f"object {name!r} in the frames {first} to {last}"
    left = unmarked(track, first, last)
    if mark == "absent":
        left = replace(
            left,
            prompts={f: prompt for f, prompt in track.prompts.items() if not first <= f <= last},
            prompted={f: known for f, known in track.prompted.items() if not first <= f <= last},
            absent=with_span(track.absent, first, last),
        )
    elif mark == "accepted":
        known = [f for f in track.tracked if first <= f <= last and f not in track.prompted and not track.is_absent(f)]
        if not known:
            raise SessionError(f"nothing that may be accepted is known of {place}; propagate over them first")
        left = replace(track, accepted=with_spans(track.accepted, spans_of(sorted(known))))
    elif (left.absent, left.accepted) == (track.absent, track.accepted):
        raise SessionError(f"{place} was neither accepted nor said to be absent; give frames that were")
    return {**tracks, name: left}


def swapped(tracks: Tracks, frame: int, name: ObjectId, other: ObjectId, shown: ShownMasks) -> Tracks:
    """With what is known of two objects from a frame on exchanged."""
    one, two = pair(tracks, name, other)
    if not any(f >= frame for track in (one, two) for f in track.frames()):
        raise SessionError(f"nothing is known of {name!r} and {other!r} from frame {frame} on; give an earlier frame")
    after = {**tracks, name: switched(one, frame, two), other: switched(two, frame, one)}
    return locked_nearest(after, frame, (name, other), shown)


def split(tracks: Tracks, frame: int, name: ObjectId, new: ObjectId, nothing: ObjectTrack, shown: ShownMasks) -> Tracks:
    """With what is known of an object from a frame on as a new object, of the same category and attributes."""
    track = known_track(tracks, name)
    if new in tracks:
        raise SessionError(f"there is an object {new!r} already; give a new name, or swap or merge them")
    if {f < frame for f in track.frames()} != {True, False}:
        raise SessionError(
            f"frame {frame} does not divide what is known of {name!r}; give one between its known frames"
        )
    said = replace(track.description, title="", colour="")
    later = replace(switched(track_of(tracks, new, nothing), frame, track), description=said)
    after = {**tracks, name: switched(track, frame, nothing), new: later}
    return locked_nearest(after, frame, (name, new), shown)


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
        absent=spliced(track.absent, other.absent, frame),
        accepted=spliced(track.accepted, other.accepted, frame),
    )


def locked_nearest(tracks: Tracks, frame: int, names: tuple[ObjectId, ObjectId], shown: ShownMasks) -> Tracks:
    """With a lock on each of two objects for which no person answers, where it is seen nearest to a frame."""
    for name in names:
        track = tracks[name]
        seen = [] if track.prompted else [s.frame for s in track.tracked.every() if s.presence > 0]
        seen = [f for f in seen if not track.is_absent(f)]
        if seen:
            tracks = locked(tracks, min(seen, key=lambda f: (abs(f - frame), f)), shown, name)
    return tracks


def merged(
    tracks: Tracks,
    name: ObjectId,
    into: ObjectId,
    size: tuple[int, int],
    encode: Callable[[KnownFrame], KnownFrame],
) -> Tracks:
    """With an object as a part of another one. On a frame that both know, the one for which a person answers stays; of
    two of a kind the one that is seen, or the union of both."""
    two, one = pair(tracks, name, into)
    prompts, prompted = dict(one.prompts), dict(one.prompted)
    for frame, known in two.prompted.items():
        mine = prompted.get(frame)
        if mine is not None and mine.presence > 0:
            if known.presence > 0:
                prompted[frame] = encode(merge_frames(mine, known, size))
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
            unions.append(merge_frames(one.tracked[frame], two.tracked[frame], size))
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


def pair(tracks: Tracks, name: ObjectId, other: ObjectId) -> tuple[ObjectTrack, ObjectTrack]:
    """The tracks of two objects. Raises `SessionError` if one is unknown, or both are the same."""
    one, two = known_track(tracks, name), known_track(tracks, other)
    if name == other:
        raise SessionError(f"object {name!r} is given twice; give two objects")
    return one, two
