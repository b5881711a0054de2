"""What a step learns from: clips of pictures with the masks of some objects, as tensors, and which objects these are.
Its random numbers follow from the seed, what they are for, and the number of the step, so that a run that was cut off
goes on exactly.

Letters: B clips, T frames (1 for pictures), N objects of all clips together, S side of the model's square.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from masklet.datasets.base import Labelled


class Batch(NamedTuple):
    """B clips of T frames and the N objects in them."""

    images: Tensor  # uint8 (B, T, 3, S, S), RGB
    masks: Tensor  # bool (N, T, S, S), empty where the object is absent
    known: Tensor  # bool (B, T, S, S), False where nobody knows what is there
    owners: Tensor  # int64 (N,), which clip an object is of, in rising order
    seeds: Tensor  # int64 (B,), each clip's own, for all that is drawn while it is learned from
    # float32 (B, T, S/4, S/4, 2), the optical flow to the frame before, as `optical_flow` gives it; frame 0 has none
    flows: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on a device; the seeds stay where they are."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in self._asdict().items()
            if name != "seeds" and value is not None
        }
        return self._replace(**moved)

    @property
    def frames(self) -> int:
        """T"""
        return self.images.shape[1]


class Dice:
    """Uniform random numbers for N objects, drawn for each clip from its own seed.

    So a clip gets the same numbers whichever process and whichever batch it is in.
    """

    def __init__(self, batch: Batch, device: torch.device) -> None:
        self.device = device
        self.generators = [torch.Generator(device).manual_seed(int(seed)) for seed in batch.seeds]
        self.counts = torch.bincount(batch.owners.cpu(), minlength=len(batch.seeds)).tolist()

    def roll(self, *shape: int) -> Tensor:
        """(N, *shape) in 0..1."""
        drawn = [
            torch.rand(count, *shape, generator=generator, device=self.device)
            for count, generator in zip(self.counts, self.generators, strict=True)
        ]
        return torch.cat(drawn)


class Use(IntEnum):
    """The uses of random numbers."""

    KIND = 1
    """Whether a step learns from clips"""
    SAMPLE = 2
    """A picture or clip of a step"""
    SEED = 3
    """The seed of a sample's augmentation"""
    PLAN = 4
    """How a step is prompted"""
    TOTAL = 5
    """Which objects of a step are learned, where their number is given"""


def draws(use: Use, seed: int, *numbers: int) -> np.random.Generator:
    """The stream of a use, by the seed of a stage and what is counted, such as step and place in the batch.

    The use stands in front: NumPy takes missing numbers for zeros, so that (seed, step) and (seed, step, 0) are one.
    """
    return np.random.default_rng((int(use), seed, *numbers))


@dataclass(frozen=True)
class PickOptions:
    """Which objects are learned."""

    least: float = 0.0  # smaller ones are passed over, a share of the picture
    most: float = 0.9  # larger ones too, as published
    size_power: float = 0.0  # an object is drawn by its area to this power: 0, as published, draws all alike


def draw_objects(frame: Labelled, rng: np.random.Generator, pick: PickOptions) -> list[int]:
    """The objects of a frame that are neither too small nor too large, in random order."""
    height, width = frame.masks.size
    areas = {
        name: area / (height * width)
        for name, area in frame.masks.areas().items()
        if pick.least <= area / (height * width) <= pick.most
    }
    names = list(areas)
    if not names:
        return []
    shares = np.array(list(areas.values())) ** pick.size_power
    return [names[place] for place in rng.choice(len(names), len(names), replace=False, p=shares / shares.sum())]
