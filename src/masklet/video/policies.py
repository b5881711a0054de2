"""The three questions where trackers differ, and who answers them: which candidate mask counts, what stays known, and
what is recalled. See docs/policies.md; examples/policies has others than the published one.

A policy keeps nothing to itself: what it has to know of an object stands in the object's track, so that undo, saving,
streams and batches need no further care. It looks at the past alone: at frames behind the one in question, in the
direction in which the video is followed, and at prompted ones. The functions below find these frames by their stats, so
that nothing is read from files. Arrays are of the engine's kind, see `masklet.engines.arrays`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from masklet.engines.arrays import Array, where
from masklet.engines.rules import MIN_STABILITY, STABILITY_DELTA, best_of_three, single
from masklet.errors import ConfigError
from masklet.nn import Decoded
from masklet.plugins import find
from masklet.video.recall import Recall, RecallOptions, published_recall
from masklet.video.state import FrameStats, KnownFrame, ObjectTrack

if TYPE_CHECKING:
    from typing_extensions import Self


class Choice(NamedTuple):
    """Which of the four candidates of N objects count, (N,) int64 each."""

    masks: Array
    pointers: Array


@runtime_checkable
class MemoryPolicy(Protocol):
    """Choose, keep, recall."""

    @property
    def window(self) -> int:
        """How many frames back a tracked frame may be looked at if it is no anchor; a stream forgets older ones."""

    @property
    def most_anchors(self) -> int:
        """How many anchors there are at most."""

    def choose(
        self, decoded: Decoded, points: Array, tracks: Sequence[ObjectTrack], frame: int, *, backward: bool
    ) -> Choice:
        """Which candidates count.

        Args:
            decoded: The candidates of N objects.
            points: (N,) how many points each prompt has, a box's corners counted; 0 without a prompt.
            tracks: What is known of the N objects.
            frame: The frame that was decoded.
            backward: Whether the video is followed towards its beginning.
        """

    def keep(self, track: ObjectTrack, known: KnownFrame, rivals: Array) -> tuple[int, ...]:
        """The anchors from a tracked frame on: frames that stay known, however far they fall behind. Only the new
        frame, anchors before it, and frames within the window can be anchors. Not asked about prompted frames: these
        stay known, and anchors before them stay anchors.

        Args:
            track: What is known of the object, without the new frame.
            known: The new frame.
            rivals: (R, S/4, S/4) logits of the other candidates for an ambiguous prompt.
        """

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        """The frames of an object that a frame attends, when the video is followed forward or backward."""


def before(track: ObjectTrack, frame: int, *, backward: bool) -> FrameStats | None:
    """The stats of the nearest known frame behind, or None."""
    near = track.remembered(frame + 1 if backward else frame - 1)
    if near is not None:
        return near
    behind = [f for f in (*track.prompted, *track.tracked) if (f > frame if backward else f < frame)]
    return next(
        (stats for f in sorted(behind, reverse=not backward) if (stats := track.remembered(f)) is not None), None
    )


def anchors_before(track: ObjectTrack, frame: int, *, backward: bool) -> tuple[int, ...]:
    """The anchors of the nearest known frame behind that are still known and not prompted by now; oldest first."""
    near = before(track, frame, backward=backward)
    known = (f for f in near.anchors if track.remembered(f) is not None) if near is not None else ()
    return tuple(f for f in known if f not in track.prompted)


def recent(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> list[FrameStats]:
    """The stats of known frames among the `count` frames behind, newest first, without those where a person said that
    the object is absent."""
    behind = range(frame + 1, frame + 1 + count) if backward else range(frame - 1, frame - 1 - count, -1)
    stats = (track.remembered(f) for f in behind)
    return [known for known in stats if known is not None]


def recently_tracked(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> list[int]:
    """Which of the `count` frames behind the tracker answers for, and no person; newest first."""
    return [s.frame for s in recent(track, frame, count, backward=backward) if s.frame not in track.prompted]


@dataclass(frozen=True)
class PublishedPolicy:
    """The published rules (SAM 2: Ravi et al., 2024): everything is remembered; prompted frames and the recent ones are
    recalled.

    Attributes:
        options: Numbers of the rule of recall.
        ambiguous: Least and most points of a prompt that gets the best of three masks; a frame without a prompt has 0
            points, a box has 2.
        best_pointers: Whether the best of three masks has its own pointer, and not that of the single mask.
        stability_delta: A mask is stable if it hardly changes when its threshold moves this far up or down.
        least_stability: A single mask that is less stable gives way to the best of three; 0 keeps the single mask.
    """

    options: RecallOptions = field(default_factory=RecallOptions)
    ambiguous: tuple[int, int] = (0, 1)
    best_pointers: bool = True
    stability_delta: float = STABILITY_DELTA
    least_stability: float = MIN_STABILITY

    @classmethod
    def for_slots(cls, slots: int) -> Self:
        """The policy for a model with so many temporal slots."""
        return cls(options=RecallOptions(slots=slots))

    @property
    def window(self) -> int:
        return max(self.options.pointers, self.options.slots * self.options.stride)

    @property
    def most_anchors(self) -> int:
        return 0

    def choose(
        self, decoded: Decoded, points: Array, tracks: Sequence[ObjectTrack], frame: int, *, backward: bool
    ) -> Choice:
        best = best_of_three(decoded)
        least, most = self.ambiguous
        ambiguous = (points >= least) & (points <= most)
        clear = single(decoded, self.stability_delta, self.least_stability)
        pointers = where(ambiguous & self.best_pointers, best, 0)
        return Choice(masks=where(ambiguous, best, clear), pointers=pointers)

    def keep(self, track: ObjectTrack, known: KnownFrame, rivals: Array) -> tuple[int, ...]:
        return ()

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        known = recently_tracked(track, frame, self.window, backward=backward)
        return published_recall(frame, list(track.prompted), known, self.options, backward=backward)


POLICIES: dict[str, Any] = {"published": PublishedPolicy}
"""masklet's own policies by name: what has `for_slots`, which gives a `MemoryPolicy`."""


def make_policy(name: str, slots: int) -> MemoryPolicy:
    """The policy of a name, for a model with so many temporal slots.

    Args:
        name: One of `POLICIES`, of an installed package by its entry point, or `module:Class`.
        slots: Of the model's memory.

    Raises:
        ConfigError: There is no such policy, or the name stands for something else.
    """
    found = find("policies", name, POLICIES)
    made = found.for_slots(slots) if hasattr(found, "for_slots") else None
    if not isinstance(made, MemoryPolicy):
        raise ConfigError(
            f"{name!r} is no memory policy; give a class with for_slots, choose, keep and recall, such as a subclass "
            "of masklet.video.policies.PublishedPolicy"
        )
    return made


def check_policy(name: str) -> None:
    """Raises `ConfigError`, with the nearest name, if there is no such policy."""
    make_policy(name, slots=7)
