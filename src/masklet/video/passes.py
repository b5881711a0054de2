"""Passes of `propagate`: which frames they go through, and which of two answers stays where both directions meet.

Of two passes in both directions each attends prompted frames and its own frames, never those of the other: the other
learned from prompts in this one's future, which this one attends already. If both reach a frame, the better answer
stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from masklet.errors import SessionError
from masklet.video.edits import followed
from masklet.video.events import Event, Followed
from masklet.video.result import probability
from masklet.video.state import FrameStats, KnownFrame, ObjectId, ObjectTrack, Tracks, prompted_frames, to_follow

Direction = Literal["forward", "backward", "both"]
"""Which way a video is followed."""


@dataclass(frozen=True)
class Range:
    """Frames to follow, and in which direction.

    Attributes:
        first: The first frame.
        stop: The first frame that is left out; None is the end of the video.
        backward: Whether it goes towards the video's beginning.
        apart: Whether it is one of two passes that are kept apart and then joined.
    """

    first: int
    stop: int | None
    backward: bool
    apart: bool = False

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

    def check(self) -> None:
        """Raise `SessionError` if `stop` does not lie ahead."""
        if self.stop is not None and (self.stop - self.first) * self.ahead <= 0:
            where, side = ("backward", "before") if self.backward else ("forward", "after")
            raise SessionError(
                f"stop is {self.stop} and following goes {where} from frame {self.first}; give a stop {side} it"
            )


def passes(
    tracks: Tracks,
    start: int | None,
    stop: int | None,
    direction: Direction,
    only: ObjectId | None,
    within: range | None = None,
) -> Sequence[Range]:
    """The passes that `VideoTracker.propagate` makes.

    Raises `SessionError` if nothing is prompted, the direction is none, or `stop` lies on the wrong side of `start`.
    """
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
        span.check()
    return chosen


@dataclass
class PublishedPropagation:
    """Every pass takes every frame anew, as the reference does; two passes of both directions are joined by trust.
    `corrections.LocalPropagation` has the same methods for our rules."""

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
