"""How a video is tracked."""

from __future__ import annotations

from dataclasses import dataclass

from masklet.nn import ModelConfig
from masklet.video.policies import MemoryPolicy, PublishedPolicy
from masklet.video.recall import RecallOptions
from masklet.video.step import Moment

PUBLISHED_HOLE = 8 / 256**2
"""Largest hole that is filled as published: 8 of the 256 x 256 cells of a low-resolution mask."""


@dataclass(frozen=True)
class TrackingOptions:
    """How a video is tracked. The defaults are the published settings.

    Attributes:
        policy: Decides which masks count, what is kept and what is recalled; None for the published rule.
        fill_holes: Holes of at most this many cells of the low-resolution mask are filled; None for the published share
            of the mask. 0 fills none.
        non_overlapping: Whether each pixel is given to the surest object alone.
        binarise_prompted: Whether the mask of a prompted frame is remembered as a binary one.
    """

    policy: MemoryPolicy | None = None
    fill_holes: int | None = None
    non_overlapping: bool = False
    binarise_prompted: bool = True

    def policy_for(self, config: ModelConfig) -> MemoryPolicy:
        """The policy, the published one with as many slots as the model has if none was given."""
        return self.policy or PublishedPolicy(RecallOptions(slots=config.memory_frames))

    def moment(self, frame: int, size: tuple[int, int], config: ModelConfig, *, backward: bool = False) -> Moment:
        """How a frame is to be taken."""
        hole = int(PUBLISHED_HOLE * config.mask_size**2) if self.fill_holes is None else self.fill_holes
        return Moment(frame, size, backward, fill_holes=hole, binarise_prompted=self.binarise_prompted)
