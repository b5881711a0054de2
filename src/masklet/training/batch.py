"""What a step learns from: clips of pictures with the masks of some objects, as tensors.

Letters: B clips, T frames (1 for pictures), N objects of all clips together, S side of the model's square.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """B clips of T frames and the N objects in them."""

    images: Tensor
    """uint8 (B, T, 3, S, S), RGB"""
    masks: Tensor
    """bool (N, T, S, S), empty where the object is absent"""
    known: Tensor
    """bool (B, T, S, S), False where nobody knows what is there"""
    owners: Tensor
    """int64 (N,), which clip an object is of, in rising order"""
    seeds: Tensor
    """int64 (B,), each clip's own, for all that is drawn while it is learned from"""

    def to(self, device: torch.device) -> Batch:
        """The same on a device; the seeds stay where they are."""
        images, masks, known, owners = (tensor.to(device, non_blocking=True) for tensor in self[:-1])
        return Batch(images, masks, known, owners, self.seeds)

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
