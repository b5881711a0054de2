"""Passes of `propagate`: which frames they go through, which of these they may change, and which of two answers stays.

By our rules a correction helps, or it does nothing. A prompt speaks for the frames up to its neighbouring prompted or
locked frames, and for no others. A pass takes an object into unknown frames, and into those that a changed prompt
speaks for, away from it. A new answer has to be surer than an earlier one that comes from the other side, and so not
through the frame that was wrong, and nearly as sure as one that did; where it is not, the pass ends for the object, up
to its next prompt.

Of two passes in both directions each attends prompted frames and its own frames, never those of the other: the other
learned from prompts in this one's future, which this one attends already. If both reach a frame, the better answer
stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, get_args

from masklet.errors import SessionError
from masklet.formats.project_file import Spans
from masklet.video.edits import followed
from masklet.video.events import Cleared, Event, Followed, Merged, Prompted, Removed, Split, Swapped
from masklet.video.result import probability
from masklet.video.state import (
    END,
    FrameStats,
    KnownFrame,
    ObjectId,
    ObjectTrack,
    Tracks,
    known_frames,
    known_track,
    spliced,
    to_follow,
    with_span,
    with_spans,
    within,
    without_span,
)

Direction = Literal["forward", "backward", "both"]
"""Which way a video is followed."""

MIN_OF_SAME = 0.95
"""Between two prompts a new answer takes the place of one that was found in the same direction if it has at least this
share of its certainty."""

MIN_BEYOND = 0.6
"""The same beyond the last prompt, where little speaks for the earlier answer."""

MIN_OF_OTHER = 1.3
"""The same of one that was found in the other direction, if the new one was followed from clicks or a box: what they
give may be wrong itself. Followed from a mask that a person gave or locked, it has to be as sure."""


@dataclass(frozen=True)
class Range:
    """Frames to follow, and in which direction."""

    first: int
    stop: int | None  # the first frame that is left out; None is the end of the video
    backward: bool  # towards the video's beginning
    apart: bool = False  # one of two passes that are kept apart and then joined

    @property
    def ahead(self) -> int:
        """From a frame to the next one: 1 or -1."""
        return -1 if self.backward else 1

    @property
    def end(self) -> int | None:
        """The frame before which following ends; None if nothing but the video ends it."""
        return -1 if self.backward and self.stop is None else self.stop

    def inside(self, frames: range) -> Range:
        """The part of it that lies in those frames."""
        if self.backward:
            stop = max(frames.start - 1, -1 if self.stop is None else self.stop)
            return replace(self, first=min(self.first, frames.stop - 1), stop=None if stop < 0 else stop)
        stop = frames.stop if self.stop is None else min(self.stop, frames.stop)
        return replace(self, first=max(self.first, frames.start), stop=stop)


def passes(
    tracks: Tracks,
    start: int | None,
    stop: int | None,
    direction: Direction,
    only: ObjectId | None,
    within: range | None = None,
) -> Sequence[Range]:
    """The passes that `VideoTracker.propagate` makes. Raises `SessionError` if nothing is prompted, the direction is
    none, or `stop` lies on the wrong side of `start`."""
    if direction not in get_args(Direction):
        raise SessionError(f"direction is {direction!r}; give 'forward', 'backward' or 'both'")
    prompted = prompted_frames(tracks, only)
    apart = direction == "both"
    forward = Range(min(prompted) if start is None else start, stop, backward=False, apart=apart)
    backward = Range(max(prompted) if start is None else start, None if apart else stop, backward=True, apart=apart)
    chosen = {"forward": (forward,), "backward": (backward,), "both": (backward, forward)}[direction]
    if within is not None:
        chosen = tuple(span.inside(within) for span in chosen)
    for span in chosen:
        if span.stop is not None and (span.stop - span.first) * span.ahead <= 0:
            where, side = ("backward", "before") if span.backward else ("forward", "after")
            raise SessionError(
                f"stop is {span.stop} and following goes {where} from frame {span.first}; give a stop {side} it"
            )
    return chosen


def prompted_frames(tracks: Tracks, only: ObjectId | None) -> list[int]:
    """Frames on which the objects to follow are prompted. Raises `SessionError` if there are none."""
    chosen = tracks if only is None else {only: known_track(tracks, only)}
    frames = [frame for track in chosen.values() for frame in track.prompted]
    if not frames:
        raise SessionError("no object is prompted; call add_points, add_box or add_mask before propagate")
    return frames


@dataclass
class PublishedPropagation:
    """Every pass takes every frame anew, as the reference does; two passes of both directions are joined by trust.
    `LocalPropagation` has the same methods for our rules."""

    events: Sequence[Event]
    span: Range
    only: ObjectId | None = None

    def moving(self, tracks: Tracks, frame: int) -> Tracks:
        """The objects that are taken into a frame, each with what it may recall."""
        return seen_by(self.span, to_follow(tracks, frame, backward=self.span.backward, only=self.only))

    def joined(self, tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
        """The session with what was found in a frame."""
        return joined(tracks, found) if self.span.apart else followed(tracks, found)

    def remaining(self, tracks: Tracks, last: int | None) -> Range | None:
        """The rest of the pass, from the frame before the first that may change; None if nothing is. Here that is its
        last frame, without a gap, in one go or in several: only following shows whether the video has a next one.
        `last` is the video's last frame, if that is known."""
        span, steps = self.span, 0
        for event in self.events:
            match event:
                case Followed(first, came, span.backward, self.only, span.apart):
                    if (first - span.first) * span.ahead <= steps:
                        steps = max(steps, (came - span.first) * span.ahead + 1)
        if steps == 0:
            return span
        here = span.first + (steps - 1) * span.ahead
        return None if here + span.ahead == span.end else replace(span, first=here)

    def ends(self, tracks: Tracks, frame: int, last: int | None) -> bool:
        """Whether nothing may change beyond a frame."""
        return False


def seen_by(span: Range, moving: Tracks) -> Tracks:
    """The objects as a pass sees them: one of two without what the other found."""
    return {name: replace(t, one_way=span.backward) for name, t in moving.items()} if span.apart else moving


def joined(tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
    """With what one of two passes found of objects in a frame. Going backward, which comes first, takes the frame anew;
    going forward leaves what was found backward where that is trusted more."""

    def is_better(name: ObjectId, new: KnownFrame) -> bool:
        known = tracks[name].tracked.stats(new.frame)
        if known is None or not known.backward or new.backward:
            return True
        return trust(tracks[name], known) <= trust(tracks[name], new)

    return followed(tracks, {name: new for name, new in found.items() if is_better(name, new)})


def trust(track: ObjectTrack, entry: FrameStats) -> float:
    """0..1: the model's certainty, divided by one more than the frames since the prompt from which it was followed."""
    first = origin(track, entry)
    return 0.0 if first is None else certainty(entry) / (1 + abs(entry.frame - first))


def origin(track: ObjectTrack, entry: FrameStats) -> int | None:
    """The prompted or locked frame from which an answer was followed; None if there is none."""
    before = [f for f in track.prompted if (f >= entry.frame if entry.backward else f <= entry.frame)]
    return min(before, key=lambda f: abs(entry.frame - f), default=None)


def certainty(entry: FrameStats) -> float:
    """0..1: how sure the model is. Of a visible object its presence times its predicted IoU, of an absent one the
    probability that it is not there."""
    presence = probability(entry.presence)
    return presence * entry.iou if presence > 0.5 else 1 - presence


class LocalPropagation:
    """A correction changes what lies between its neighbours, where it is surer."""

    def __init__(self, events: Sequence[Event], tracks: Tracks, span: Range, only: ObjectId | None) -> None:
        self.span, self.only = span, only
        self.changes = changeable_frames(events, tracks)  # when the pass begins
        # objects that are not taken further before their next prompt
        self.halted = {name for name, track in tracks.items() if self._ended(name, track)}

    def moving(self, tracks: Tracks, frame: int) -> Tracks:
        return seen_by(self.span, self._movable(tracks, frame, self.halted))

    def joined(self, tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
        better = {name: new for name, new in found.items() if self._is_better(name, tracks[name], new)}
        return followed(tracks, better)

    def remaining(self, tracks: Tracks, last: int | None) -> Range | None:
        first = self._next(tracks, self.span.first, last)
        if first is None:
            return None
        return self.span if first == self.span.first else replace(self.span, first=first - self.span.ahead)

    def ends(self, tracks: Tracks, frame: int, last: int | None) -> bool:
        return self._next(tracks, frame + self.span.ahead, last) is None

    def _next(self, tracks: Tracks, frame: int, last: int | None) -> int | None:
        """The first frame from one on, in the direction of the pass, in which something may change."""
        backward, known = self.span.backward, known_frames(tracks)
        end = -1 if backward else max(known, default=-1) + 1
        halted = set(self.halted)
        for further in range(frame, end, self.span.ahead):
            if further == self.span.end:
                return None
            if self._movable(tracks, further, halted):
                return further
        return None if backward or (last is not None and end > last) or end == self.span.end else max(frame, end)

    def _movable(self, tracks: Tracks, frame: int, halted: set[ObjectId]) -> Tracks:
        """The objects that may change in a frame. One that was halted goes on where a person answers for it."""
        halted -= {name for name, track in tracks.items() if track.stands(frame)}

        def moves(name: ObjectId, track: ObjectTrack) -> bool:
            changes = self.changes[name]
            if track.stats(frame) is None or within(frame, changes.void):
                return True
            return name not in halted and within(frame, changes.open[self.span.backward])

        moving = to_follow(tracks, frame, backward=self.span.backward, only=self.only)
        return {name: track for name, track in moving.items() if moves(name, track)}

    def _is_better(self, name: ObjectId, track: ObjectTrack, new: KnownFrame) -> bool:
        """Whether a new answer takes the place of an earlier one. If not, the pass ends for the object, but where both
        answers know the same prompts: there each frame is decided by itself."""
        known, changes = track.stats(new.frame), self.changes[name]
        if known is None or within(new.frame, changes.void):
            return True
        if known.backward != new.backward and within(new.frame, changes.fresh[known.backward]):
            return trust(track, new) >= trust(track, known)
        if certainty(new) >= least_share(track, known, new) * certainty(known):
            return True
        self.halted.add(name)
        return False

    def _ended(self, name: ObjectId, track: ObjectTrack) -> bool:
        """Whether a pass that is gone on with had ended for an object before: it came to the frame, and left it."""
        known, first = track.stats(self.span.first), self.span.first
        if known is None or track.stands(first) or known.backward == self.span.backward:
            return False
        changes = self.changes[name]
        return not within(first, (*changes.open[self.span.backward], *changes.fresh[known.backward]))


def least_share(track: ObjectTrack, known: FrameStats, new: FrameStats) -> float:
    """The share of the certainty of an earlier answer that a new one needs to take its place."""
    if known.backward != new.backward:
        first = origin(track, new)
        said = None if first is None else track.prompts.get(first)
        return MIN_OF_OTHER if said is not None and said.mask is None else 1.0
    ahead = any(f < new.frame if new.backward else f > new.frame for f in track.prompted)
    return MIN_OF_SAME if ahead else MIN_BEYOND


@dataclass(frozen=True)
class Changeable:
    """The frames of an object that a pass may change, by the log; of two directions by whether it goes backward."""

    # frames that a pass may answer anew: a changed prompt speaks for them, and no pass came there since
    open: Mapping[bool, Spans] = field(default_factory=lambda: {False: (), True: ()})
    # frames that a pass came to since the prompts beside them were changed last
    fresh: Mapping[bool, Spans] = field(default_factory=lambda: {False: (), True: ()})
    void: Spans = ()  # answers that may have come of a prompt that was cleared, and that no pass came to since

    def prompted(self, frame: int, first: int, last: int, *, cleared: bool) -> Changeable:
        """After a prompt on a frame that speaks from `first` to `last` was changed."""
        opened = {True: with_span(self.open[True], first, frame), False: with_span(self.open[False], frame, last)}
        fresh = {backward: without_span(spans, first, last) for backward, spans in self.fresh.items()}
        if not cleared:
            return Changeable(opened, fresh, self.void)
        opened = {backward: with_span(spans, first, last) for backward, spans in opened.items()}
        return Changeable(opened, fresh, with_span(self.void, first, last))

    def followed(self, first: int, last: int, *, backward: bool, ended: bool = False) -> Changeable:
        """After a pass went from frame `first` to `last`. One that ended by itself left the others be."""
        low, high = sorted((first, last))
        left = without_span(self.open[backward], low, high)
        if ended:
            left = without_span(left, *((0, low) if backward else (high, END)))
        fresh = {**self.fresh, backward: with_span(self.fresh[backward], low, high)}
        return Changeable({**self.open, backward: left}, fresh, without_span(self.void, low, high))

    def combined(self, other: Changeable, both: Callable[[Spans, Spans], Spans]) -> Changeable:
        """With those of another object, each by what `both` makes of the frames of two."""
        opened = {backward: both(spans, other.open[backward]) for backward, spans in self.open.items()}
        fresh = {backward: both(spans, other.fresh[backward]) for backward, spans in self.fresh.items()}
        return Changeable(opened, fresh, both(self.void, other.void))


def changeable_frames(events: Sequence[Event], tracks: Tracks) -> dict[ObjectId, Changeable]:
    """The frames of each object that a pass may change now, by the log."""
    found: dict[ObjectId, Changeable] = defaultdict(Changeable, {name: Changeable() for name in tracks})
    moves = [(place, event) for place, event in enumerate(events) if isinstance(event, Swapped | Split | Merged)]
    for place, event in enumerate(events):
        match event:
            case Prompted(frame, name, _) | Cleared(frame, name):
                track = tracks.get(owner_of(name, frame, [move for later, move in moves if later > place]))
                if track is not None:
                    first, last = track.reach(frame)
                    found[name] = found[name].prompted(frame, first, last, cleared=isinstance(event, Cleared))
            case Removed(name):
                found[name] = Changeable()
            case Followed(first, last, backward, only, _, ended):
                for name in list(found) if only is None else [only]:
                    found[name] = found[name].followed(first, last, backward=backward, ended=ended)
            case Swapped(frame, name, other):
                one, two, both = found[name], found[other], partial(spliced, frame=frame)
                found[name], found[other] = one.combined(two, both), two.combined(one, both)
            case Split(frame, name, new):
                whole, both = found[name], partial(spliced, frame=frame)
                found[name], found[new] = whole.combined(Changeable(), both), Changeable().combined(whole, both)
            case Merged(name, into):
                found[into] = found[into].combined(found.pop(name, Changeable()), with_spans)
    return found


def owner_of(name: ObjectId, frame: int, moves: Sequence[Swapped | Split | Merged]) -> ObjectId:
    """The object that has a frame of another one after these events."""
    for move in moves:
        match move:
            case Swapped(first, one, two) if name in (one, two) and frame >= first:
                name = two if name == one else one
            case Split(first, one, new) if name == one and frame >= first:
                name = new
            case Merged(one, into) if name == one:
                name = into
    return name
