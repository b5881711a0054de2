"""What a pass may change, and which of two answers stays: a correction helps, or it does nothing.

A prompt speaks for the frames up to its neighbouring prompted or locked frames, and for no others. A pass takes an
object into unknown frames, and into those that a changed prompt speaks for, away from it. A new answer
has to be as sure as an earlier one that comes from the other side, and so not through the frame that was wrong, and
nearly as sure as one that did; where it is not, the pass ends for the object, up to its next prompt.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from masklet.video import bidirectional, session
from masklet.video.bidirectional import certainty, one_way, trust
from masklet.video.events import Cleared, Event, Followed, Prompted, Range, Removed
from masklet.video.state import FrameStats, KnownFrame, ObjectId, ObjectTrack, Tracks

END = sys.maxsize
"""Stands for the end of a video, of which the last frame is not known."""

LEAST_OF_SAME = 0.95
"""Between two prompts a new answer takes the place of one that was found in the same direction if it has at least this
share of its certainty. Beyond the last prompt it always does: nothing speaks for the earlier one."""

Spans = tuple[tuple[int, int], ...]
"""Frames, as disjoint ranges (first, last), both included."""


class Propagation(Protocol):
    """One pass over a session, by the rules of `TrackingOptions.corrections`."""

    def moving(self, tracks: Tracks, frame: int) -> Tracks:
        """The objects that are taken into a frame, each with what it may recall."""

    def joined(self, tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
        """The session with what was found in a frame."""

    def remaining(self, tracks: Tracks, last: int | None) -> Range | None:
        """The rest of the pass, from the frame before the first that may change; None if nothing is. `last` is the
        video's last frame, if that is known."""

    def ends(self, tracks: Tracks, frame: int, last: int | None) -> bool:
        """Whether nothing may change beyond a frame."""


@dataclass
class PublishedPropagation:
    """Every pass takes every frame anew, as the reference does; two passes of both directions are joined by trust."""

    span: Range
    only: ObjectId | None = None

    def moving(self, tracks: Tracks, frame: int) -> Tracks:
        moving = session.to_follow(tracks, frame, backward=self.span.backward, only=self.only)
        return separate(moving, self.span)

    def joined(self, tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
        return bidirectional.joined(tracks, found) if self.span.apart else session.followed(tracks, found)

    def remaining(self, tracks: Tracks, last: int | None) -> Range | None:
        return self.span

    def ends(self, tracks: Tracks, frame: int, last: int | None) -> bool:
        return False


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
    changes: Mapping[ObjectId, Changes]
    halted: set[ObjectId] = field(default_factory=set)

    @classmethod
    def of(cls, events: Sequence[Event], tracks: Tracks, span: Range, only: ObjectId | None) -> LocalPropagation:
        """A pass that begins now, after the events."""
        changes = {name: changes_of(events, name, track) for name, track in tracks.items()}
        found = cls(span, only, changes)
        found.halted = {name for name, track in tracks.items() if found._ended(name, track)}
        return found

    def moving(self, tracks: Tracks, frame: int) -> Tracks:
        moving = session.to_follow(tracks, frame, backward=self.span.backward, only=self.only)
        self.halted -= {name for name, track in tracks.items() if frame in track.prompted}
        return separate(
            {name: track for name, track in moving.items() if self._moves(name, track, frame, self.halted)}, self.span
        )

    def joined(self, tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
        after = dict(tracks)
        for name, new in found.items():
            known = tracks[name].stats(new.frame)
            if known is None or self._is_better(name, tracks[name], new, known):
                after[name] = session.tracked(tracks[name], new)
        return after

    def remaining(self, tracks: Tracks, last: int | None) -> Range | None:
        first = self._next(tracks, self.span.first, last)
        if first is None:
            return None
        step = -1 if self.span.backward else 1
        return self.span if first == self.span.first else replace(self.span, first=first - step)

    def ends(self, tracks: Tracks, frame: int, last: int | None) -> bool:
        return self._next(tracks, self.span.after(frame), last) is None

    def _next(self, tracks: Tracks, frame: int, last: int | None) -> int | None:
        """The first frame from one on, in the direction of the pass, in which something may change."""
        backward, known = self.span.backward, session.known_frames(tracks)
        end = -1 if backward else max(known, default=-1) + 1
        halted = set(self.halted)
        for further in range(frame, end, -1 if backward else 1):
            if further == self.span.end:
                return None
            halted -= {name for name, track in tracks.items() if further in track.prompted}
            moving = session.to_follow(tracks, further, backward=backward, only=self.only)
            if any(self._moves(name, track, further, halted) for name, track in moving.items()):
                return further
        return None if backward or (last is not None and end > last) or end == self.span.end else max(frame, end)

    def _moves(self, name: ObjectId, track: ObjectTrack, frame: int, halted: Collection[ObjectId]) -> bool:
        if track.stats(frame) is None:
            return True
        changes = self.changes.get(name)
        if changes is None:
            return False
        if within(frame, changes.void):
            return True
        return name not in halted and within(frame, changes.open[self.span.backward])

    def _is_better(self, name: ObjectId, track: ObjectTrack, new: KnownFrame, known: FrameStats) -> bool:
        """Whether a new answer takes the place of an earlier one. If not, the pass ends for the object, but where both
        answers know the same prompts: there each frame is decided by itself."""
        changes = self.changes.get(name)
        if changes is not None and within(new.frame, changes.void):
            return True
        if known.backward != new.backward and (changes is None or within(new.frame, changes.fresh[known.backward])):
            return trust(track, new) >= trust(track, known)
        least = 1.0
        if known.backward == new.backward:
            ahead = any(f < new.frame if new.backward else f > new.frame for f in track.prompted)
            least = LEAST_OF_SAME if ahead else 0.0
        if certainty(new) >= least * certainty(known):
            return True
        self.halted.add(name)
        return False

    def _ended(self, name: ObjectId, track: ObjectTrack) -> bool:
        """Whether a pass that is gone on with had ended for an object before: it came to the frame, and left it."""
        known, first = track.stats(self.span.first), self.span.first
        return (
            known is not None
            and first not in track.prompted
            and known.backward != self.span.backward
            and not within(first, self.changes[name].open[self.span.backward])
            and not within(first, self.changes[name].fresh[known.backward])
        )


@dataclass(frozen=True)
class Changes:
    """The frames of an object that a pass may change, by the log.

    Attributes:
        open: Frames that a pass may answer anew, by whether it goes backward: a changed prompt speaks for them, and no
            pass came there since.
        fresh: Frames that a pass came to since the prompts beside them were changed last, by whether it went backward.
        void: Frames whose answers may have come of a prompt that was cleared, and that no pass came to since.
    """

    open: Mapping[bool, Spans]
    fresh: Mapping[bool, Spans]
    void: Spans


def changes_of(events: Sequence[Event], name: ObjectId, track: ObjectTrack) -> Changes:
    """The frames of an object that a pass may change now, by the log."""
    nothing: dict[bool, Spans] = {False: (), True: ()}
    opened, fresh = dict(nothing), dict(nothing)
    void: Spans = ()
    for event in events:
        match event:
            case Prompted(frame, named, _) | Cleared(frame, named) if named == name:
                first, last = reach(track, frame)
                opened = {True: with_span(opened[True], first, frame), False: with_span(opened[False], frame, last)}
                fresh = {backward: without_span(spans, first, last) for backward, spans in fresh.items()}
                if isinstance(event, Cleared):
                    opened = {backward: with_span(spans, first, last) for backward, spans in opened.items()}
                    void = with_span(void, first, last)
            case Removed(named) if named == name:
                opened, fresh, void = dict(nothing), dict(nothing), ()
            case Followed(first, last, backward, only, _) if only in (None, name):
                low, high = sorted((first, last))
                opened[backward] = without_span(opened[backward], low, high)
                fresh[backward] = with_span(fresh[backward], low, high)
                void = without_span(void, low, high)
    return Changes(opened, fresh, void)


def reach(track: ObjectTrack, frame: int) -> tuple[int, int]:
    """(first, last) of the frames for which a prompt on a frame speaks: up to the neighbouring prompted or locked ones.
    `END` where none comes after it."""
    before = max((f for f in track.prompted if f < frame), default=-1)
    after = min((f for f in track.prompted if f > frame), default=END)
    return before + 1, after if after == END else after - 1


def separate(moving: Tracks, span: Range) -> Tracks:
    """The objects as one of the two passes of both directions sees them; see `bidirectional`."""
    if not span.apart:
        return moving
    return {name: one_way(track, backward=span.backward) for name, track in moving.items()}


def within(frame: int, spans: Spans) -> bool:
    """Whether a frame is among some."""
    return any(first <= frame <= last for first, last in spans)


def without_span(spans: Spans, first: int, last: int) -> Spans:
    """Some frames without those from `first` to `last`."""
    left: list[tuple[int, int]] = []
    for low, high in spans:
        apart = high < first or low > last or first > last
        left += [(low, high)] if apart else [(low, first - 1), (last + 1, high)]
    return tuple((low, high) for low, high in left if low <= high)


def with_span(spans: Spans, first: int, last: int) -> Spans:
    """Some frames and those from `first` to `last`."""
    return (*without_span(spans, first, last), (first, last)) if first <= last else spans
