"""The session rules of the reference, to the letter, for tests of parity: what people would call its accidents too.

An answer waits until the next pass. On a frame that a pass has visited it is then no prompted entry but a tracked one,
which the same pass finds anew without the prompt: the correction is lost, and on the first frame it is dropped even
before. Every object is tracked on every frame, also before its first prompt.

Where the reference ends in an error or in NaN, these rules do what masklet does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from masklet.prompts import Prompt
from masklet.video import session
from masklet.video.ranges import Direction, Range
from masklet.video.session import Tracks
from masklet.video.state import Entries, MemoryEntry, ObjectId, ObjectTrack

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ReferenceTrack(ObjectTrack):
    """One object, as the reference keeps it.

    Attributes:
        waiting: Answers that nothing attends before the next pass, by frame.
        visited: Frames to which a pass came, and whether it went backward.
    """

    waiting: Mapping[int, MemoryEntry] = field(default_factory=dict)
    visited: Mapping[int, bool] = field(default_factory=dict)

    def entry(self, frame: int) -> MemoryEntry | None:
        return self.waiting.get(frame) or super().entry(frame)


def begun(tracked: Entries, number: int = 1) -> ObjectTrack:
    """An object of which nothing is known yet; `tracked` is where its entries go."""
    return ReferenceTrack(tracked, number=number)


def asking(track: ObjectTrack, frame: int, prompt: Prompt) -> ObjectTrack:
    """The object with a prompt. Of other frames it shows what is stored, of this one the newest logits; a visited frame
    attends memories in the direction in which it was visited, its own among them."""
    track = known(track)
    stored, newest = ObjectTrack.entry(track, frame), track.entry(frame)
    shown = {}
    if newest is not None:
        attended = is_correction(track, frame)
        shown[frame] = replace(
            stored or newest, logits=newest.logits, attended=attended, backward=track.visited.get(frame, False)
        )
    return replace(track, prompts={frame: prompt}, waiting=shown)


def answered(track: ObjectTrack, prompt: Prompt, entry: MemoryEntry) -> ObjectTrack:
    """The object with a prompt, and an answer that waits for the next pass."""
    track = known(track)
    visited = track.visited if is_correction(track, entry.frame) else without(track.visited, entry.frame)
    waiting = {**track.waiting, entry.frame: entry}
    return replace(track, prompts={**track.prompts, entry.frame: prompt}, waiting=waiting, visited=visited)


def cleared(tracks: Tracks, frame: int, name: ObjectId) -> Tracks:
    """Without the prompt on a frame. What was stored of it stays, as if it had been tracked."""
    track = known(session.known_track(tracks, name))
    if frame not in track.prompts:
        raise session.no_prompt(name, frame, track.prompts)
    left = replace(track, prompts=without(track.prompts, frame), waiting=without(track.waiting, frame))
    if frame in track.prompted:
        left = replace(
            left,
            prompted=without(track.prompted, frame),
            tracked=track.tracked.adding(track.prompted[frame]),
            visited=without(track.visited, frame),
        )
    return {**tracks, name: left}


def settled(tracks: Tracks) -> Tracks:
    """The state when a pass begins: what waited is stored, corrections as if they had been tracked. A frame that is
    prompted drops what was tracked on it."""
    return {name: stored(known(track)) for name, track in tracks.items()}


def stored(track: ReferenceTrack) -> ReferenceTrack:
    """The object with nothing that waits."""
    tracked, prompted = track.tracked, dict(track.prompted)
    for frame, entry in track.waiting.items():
        if frame in track.visited:
            tracked = tracked.adding(entry)
        else:
            prompted[frame] = entry
    for frame in prompted:
        tracked = tracked.without(frame)
    return replace(track, tracked=tracked, prompted=prompted, waiting={})


def passes(
    tracks: Tracks, start: int | None, stop: int | None, direction: Direction, only: ObjectId | None
) -> Sequence[Range]:
    """The passes of a propagation. Both directions begin at the earliest prompt, and none goes backward from frame 0.

    Raises `SessionError` if nothing is prompted, or `stop` lies on the wrong side of `start`.
    """
    first = min(session.prompted_frames(settled(tracks), only)) if start is None else start
    forward = Range(first, stop, backward=False)
    backward = Range(first, None if direction == "both" else stop, backward=True)
    chosen = {"forward": (forward,), "backward": (backward,), "both": (backward, forward)}[direction]
    for span in chosen:
        span.check()
    return [span for span in chosen if span.first > 0 or not span.backward]


def to_follow(tracks: Tracks, frame: int, *, backward: bool = False, only: ObjectId | None = None) -> Tracks:
    """The objects that are to be followed into a frame: all that do not stand there, wherever their prompts are."""
    return {
        name: track
        for name, track in tracks.items()
        if only in (None, name) and track.prompted and frame not in track.prompted
    }


def followed(
    tracks: Tracks,
    found: Mapping[ObjectId, MemoryEntry],
    frame: int,
    *,
    backward: bool = False,
    only: ObjectId | None = None,
) -> Tracks:
    """With what was found in a frame, which is visited now for every object, also for those that stand there."""
    after = session.followed(tracks, found, frame)
    visited = {name: visit(known(track), frame, backward) for name, track in after.items() if only in (None, name)}
    return {**after, **visited}


def visit(track: ReferenceTrack, frame: int, backward: bool) -> ReferenceTrack:
    return replace(track, visited={**track.visited, frame: backward})


def is_correction(track: ReferenceTrack, frame: int) -> bool:
    """Whether a prompt corrects what was tracked. With nothing to condition on it is a first prompt; the reference ends
    in an error there."""
    return frame in track.visited and bool(track.prompted)


def known(track: ObjectTrack) -> ReferenceTrack:
    assert isinstance(track, ReferenceTrack), "a session keeps to one set of rules"
    return track


def without(mapping: Mapping[int, T], frame: int) -> dict[int, T]:
    return {f: value for f, value in mapping.items() if f != frame}
