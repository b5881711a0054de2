"""The published rules (SAM 2: Ravi et al., 2024)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masklet.engines.arrays import Array, where
from masklet.engines.rules import LEAST_STABILITY, STABILITY_DELTA, best_of_three, single
from masklet.nn import Decoded
from masklet.video.policies.base import Choice, recently_tracked
from masklet.video.recall import Recall, RecallOptions, published_recall
from masklet.video.state import KnownFrame, ObjectTrack

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class PublishedPolicy:
    """Everything is remembered; prompted frames and the recent ones are recalled.

    Attributes:
        options: Numbers of the rule of recall.
        ambiguous: Least and most points of a prompt that gets the best of three masks; a frame without a prompt has 0
            points, a box has 2.
        best_pointers: Whether the best of three masks has its own pointer, and not that of the single mask.
        stability_delta: A mask is stable if it hardly changes when its threshold moves this far up or down.
        least_stability: A single mask that is less stable gives way to the best of three; 0 keeps the single mask.
    """

    options: RecallOptions = dataclasses.field(default_factory=RecallOptions)
    ambiguous: tuple[int, int] = (0, 1)
    best_pointers: bool = True
    stability_delta: float = STABILITY_DELTA
    least_stability: float = LEAST_STABILITY

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
