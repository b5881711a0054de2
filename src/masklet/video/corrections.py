"""What a pass may change, and which of two answers stays: a correction helps, or it does nothing.

A prompt speaks for the frames up to its neighbouring prompted or locked frames, and for no others. A pass takes an
object into unknown frames, and into those that a changed prompt speaks for, away from it. A new answer
has to be surer than an earlier one that comes from the other side, and so not through the frame that was wrong, and
nearly as sure as one that did; where it is not, the pass ends for the object, up to its next prompt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from masklet.formats.project_file import Spans
from masklet.video.edits import followed
from masklet.video.events import Cleared, Event, Followed, Merged, Prompted, Removed, Split, Swapped
from masklet.video.passes import Range, certainty, origin, seen_by, trust
from masklet.video.spans import END, spliced, with_span, with_spans, within, without_span
from masklet.video.state import FrameStats, KnownFrame, ObjectId, ObjectTrack, Tracks, known_frames, to_follow

LEAST_OF_SAME = 0.95
"""Between two prompts a new answer takes the place of one that was found in the same direction if it has at least this
share of its certainty."""

LEAST_BEYOND = 0.6
"""The same beyond the last prompt, where little speaks for the earlier answer."""

LEAST_OF_OTHER = 1.3
"""The same of one that was found in the other direction, if the new one was followed from clicks or a box: what they
give may be wrong itself. Followed from a mask that a person gave or locked, it has to be as sure."""


@dataclass
class LocalPropagation:
    """A correction changes what lies between its neighbours, where it is surer.

    Attributes:
        span: The frames of the pass, and its direction.
        only: The one object that is followed, or None.
        changes: What is to be done of each object, when the pass begins.
        halted: Objects that are not taken further before their next prompt.
    """

    span: Range
    only: ObjectId | None
    changes: Mapping[ObjectId, Changeable]
    halted: set[ObjectId] = field(default_factory=set)

    @classmethod
    def of(cls, events: Sequence[Event], tracks: Tracks, span: Range, only: ObjectId | None) -> LocalPropagation:
        """A pass that begins now, after the events."""
        found = cls(span, only, changeable_frames(events, tracks))
        found.halted = {name for name, track in tracks.items() if found._ended(name, track)}
        return found

    def moving(self, tracks: Tracks, frame: int) -> Tracks:
        moving = to_follow(tracks, frame, backward=self.span.backward, only=self.only)
        self.halted -= {name for name, track in tracks.items() if track.stands(frame)}
        moving = {name: track for name, track in moving.items() if self._moves(name, track, frame, self.halted)}
        return seen_by(self.span, moving)

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
            halted -= {name for name, track in tracks.items() if track.stands(further)}
            moving = to_follow(tracks, further, backward=backward, only=self.only)
            if any(self._moves(name, track, further, halted) for name, track in moving.items()):
                return further
        return None if backward or (last is not None and end > last) or end == self.span.end else max(frame, end)

    def _moves(self, name: ObjectId, track: ObjectTrack, frame: int, halted: Collection[ObjectId]) -> bool:
        changes = self.changes[name]
        if track.stats(frame) is None or within(frame, changes.void):
            return True
        return name not in halted and within(frame, changes.open[self.span.backward])

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
        return LEAST_OF_OTHER if said is not None and said.mask is None else 1.0
    ahead = any(f < new.frame if new.backward else f > new.frame for f in track.prompted)
    return LEAST_OF_SAME if ahead else LEAST_BEYOND


@dataclass(frozen=True)
class Changeable:
    """The frames of an object that a pass may change, by the log.

    Attributes:
        open: Frames that a pass may answer anew, by whether it goes backward: a changed prompt speaks for them, and no
            pass came there since.
        fresh: Frames that a pass came to since the prompts beside them were changed last, by whether it went backward.
        void: Frames whose answers may have come of a prompt that was cleared, and that no pass came to since.
    """

    open: Mapping[bool, Spans] = field(default_factory=lambda: {False: (), True: ()})
    fresh: Mapping[bool, Spans] = field(default_factory=lambda: {False: (), True: ()})
    void: Spans = ()

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
