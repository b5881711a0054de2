"""What every trunk of an image encoder offers beside its maps, for those who train it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Layer(NamedTuple):
    """One of the layers that a trunk passes one after another."""

    module: nn.Module
    branches: tuple[nn.Module, ...] = ()
    """Modules inside it whose answers are added to what comes in. Training leaves them out at random (drop path)."""


class Trunk(nn.Module):
    """A module that turns pictures (B, 3, S, S) into four maps, (B, widths[k], S/stride, S/stride), at strides 4, 8,
    16 and 32.

    Attributes:
        memory_format: In which order numbers lie in memory while it is trained.
    """

    memory_format: torch.memory_format = torch.contiguous_format

    def layers(self) -> list[Layer]:
        """All layers from the picture on, for rates that fall with the distance from the end (layer decay). What is in
        none of them, such as position codes, learns at the full rate."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> list[Tensor]:
        raise NotImplementedError
