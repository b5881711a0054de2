"""The two small parts in which SAM 2.0 and 2.1 differ, with one interface."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from masklet.nn.positions import sine_ages


class AgeCode20(nn.Module):
    """SAM 2.0: pointers do not tell how old they are. (..., ) -> zeros (..., M)."""

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        self.memory_width = memory_width

    def forward(self, ages: Tensor) -> Tensor:
        return ages.new_zeros(*ages.shape, self.memory_width)


class AgeCode21(nn.Linear):
    """SAM 2.1: a projected sine code of each pointer's age. (...) -> (..., M)."""

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__(width, memory_width)

    def forward(self, ages: Tensor) -> Tensor:
        return super().forward(sine_ages(ages, self.in_features).to(self.weight.dtype))


class Version(NamedTuple):
    """What a version is made of."""

    age_code: type[AgeCode20] | type[AgeCode21]
    absent_mark: bool
    """Whether the memory of a frame without the object is marked by a learned vector."""


VERSIONS = {"2.0": Version(AgeCode20, absent_mark=False), "2.1": Version(AgeCode21, absent_mark=True)}


def absent_mark(version: Version, memory_width: int) -> nn.Parameter | None:
    """The learned vector (1, M), or None where the version has none."""
    return nn.Parameter(torch.zeros(1, memory_width)) if version.absent_mark else None
