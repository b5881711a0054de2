"""How a video is tracked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from masklet.errors import ConfigError
from masklet.nn import ModelConfig
from masklet.video import reference, session
from masklet.video.cuts import signature
from masklet.video.policies import MemoryPolicy, PublishedPolicy, make_policy
from masklet.video.rules import Rules
from masklet.video.step import Moment

PUBLISHED_HOLE_CELLS = 8
"""Largest hole that the reference fills, however small the low-resolution mask."""

PUBLISHED_HOLE = PUBLISHED_HOLE_CELLS / 256**2
"""Largest hole that is filled as published: 8 of the 256 x 256 cells of a low-resolution mask."""


@dataclass(frozen=True)
class TrackingOptions:
    """How a video is tracked. The defaults are the published settings.

    Attributes:
        policy: Decides which masks count, what is kept and what is recalled: a name, see docs/policies.md, or a policy.
        fill_holes: Holes of at most this many cells of the low-resolution mask are filled; None for the published share
            of the mask. 0 fills none.
        non_overlapping: Whether each pixel is given to the surest object alone.
        binarise_prompted: Whether the mask of a prompted frame is remembered as a binary one.
        soft_pointers: Whether the pointer of an object that may be absent is a mixture, by its presence. No published
            model wants it.
        disk_budget: Bytes on disk for what a video tracker finds, in the folder for temporary files; None for as many
            as it takes, some 0.8 MB for each object and frame of a model for 1024 pixels. When they are spent, frames
            that were tracked first keep their scores and a small form of their masks alone: they are shown, and not
            recalled.
        reference_behaviour: Whether the reference is followed to the letter, with what people would call its accidents,
            for tests of parity; docs/tracking.md lists them.
        pause_after_cut: Whether nothing is remembered after a scene cut until the object is seen again with its usual
            score, for 16 frames at most.
    """

    policy: str | MemoryPolicy = "published"
    fill_holes: int | None = None
    non_overlapping: bool = False
    binarise_prompted: bool = True
    soft_pointers: bool = False
    disk_budget: int | None = 8 * 2**30
    reference_behaviour: bool = False
    pause_after_cut: bool = False

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a number below 0."""
        for name in ("fill_holes", "disk_budget"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 0 or more, or None")

    @property
    def rules(self) -> Rules:
        """What a session makes of events."""
        return reference if self.reference_behaviour else session

    def policy_for(self, config: ModelConfig, frame_count: int | None = None) -> MemoryPolicy:
        """The policy; a named one gets as many slots as the model has. Raises `ConfigError` for an unknown name.

        Following the reference, its pointers are bounded by the number of frames, by which their ages are told.
        """
        policy = make_policy(self.policy, config.memory_frames) if isinstance(self.policy, str) else self.policy
        if self.reference_behaviour and frame_count is not None and isinstance(policy, PublishedPolicy):
            pointers = min(policy.options.pointers, frame_count)
            return replace(policy, options=replace(policy.options, pointers=pointers))
        return policy

    def moment(
        self,
        frame: int,
        size: tuple[int, int],
        config: ModelConfig,
        *,
        backward: bool = False,
        image: NDArray[np.uint8] | None = None,
    ) -> Moment:
        """How a frame is to be taken. By its image a scene cut is noticed."""
        return Moment(
            frame,
            size,
            backward,
            fill_holes=self._largest_hole(config) if self.fill_holes is None else self.fill_holes,
            binarise_prompted=self.binarise_prompted,
            soft_pointers=self.soft_pointers,
            literal=self.reference_behaviour,
            colours=b"" if image is None else signature(image),
            pause_after_cut=self.pause_after_cut,
        )

    def _largest_hole(self, config: ModelConfig) -> int:
        return PUBLISHED_HOLE_CELLS if self.reference_behaviour else int(PUBLISHED_HOLE * config.mask_size**2)
