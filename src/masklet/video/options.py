"""How a video is tracked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from masklet.errors import ConfigError
from masklet.nn import ModelConfig
from masklet.video.cuts import signature
from masklet.video.policies import MemoryPolicy, make_policy
from masklet.video.step import FrameContext

PUBLISHED_HOLE = 8 / 256**2
"""Largest hole that is filled as published: 8 of the 256 x 256 cells of a low-resolution mask."""


Corrections = Literal["local", "published"]
"""Which frames a correction may change."""


@dataclass(frozen=True)
class TrackingOptions:
    """How a video is tracked. The defaults are the published settings, but for local corrections.

    Attributes:
        policy: Decides which masks count, what stays known and what is recalled: a name, `module:Class`, or a policy;
            see docs/policies.md.
        fill_holes: Holes of at most this many cells of the low-resolution mask are filled; None for the published share
            of the mask. 0 fills none.
        non_overlapping: Whether each pixel is given to the surest object alone.
        binarise_prompted: Whether the mask of a prompted frame is remembered as a binary one.
        disk_budget: Bytes on disk for what a video tracker finds, in the folder for temporary files; None for as many
            as it takes, some 0.8 MB for each object and frame of a model for 1024 pixels. When they are spent, the
            frames that were tracked first give up their memory, which is encoded again where it is needed.
        corrections: "local": a prompt changes frames up to its neighbouring prompts, where the new answer is surer, and
            no click empties a mask; see docs/tracking.md. "published": every pass takes every frame anew, as the
            published video predictor does.
        feature_budget: Bytes of memory for features of frames that a video tracker has encoded, so that corrections
            do not wait for the encoder again; 0.5 MB a frame for `nano`, 17 MB for a model for 1024 pixels.
    """

    policy: str | MemoryPolicy = "published"
    fill_holes: int | None = None
    non_overlapping: bool = False
    binarise_prompted: bool = True
    disk_budget: int | None = 8 * 2**30
    corrections: Corrections = "local"
    feature_budget: int = 0

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a number below 0, and for unknown rules of corrections."""
        if self.corrections not in get_args(Corrections):
            raise ConfigError(f"corrections is {self.corrections!r}; give 'local' or 'published'")
        for name in ("fill_holes", "disk_budget", "feature_budget"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 0 or more, or None")

    def policy_for(self, config: ModelConfig) -> MemoryPolicy:
        """The policy; a named one gets as many slots as the model has. Raises `ConfigError` for an unknown name."""
        return make_policy(self.policy, config.memory_frames) if isinstance(self.policy, str) else self.policy

    def context(
        self,
        frame: int,
        size: tuple[int, int],
        config: ModelConfig,
        *,
        backward: bool = False,
        image: NDArray[np.uint8] | None = None,
    ) -> FrameContext:
        """How a frame is to be taken. By its image a scene cut is noticed."""
        largest = int(PUBLISHED_HOLE * config.mask_size**2)
        return FrameContext(
            frame,
            size,
            backward,
            fill_holes=largest if self.fill_holes is None else self.fill_holes,
            binarise_prompted=self.binarise_prompted,
            colours=b"" if image is None else signature(image),
            steady=self.corrections == "local",
        )
