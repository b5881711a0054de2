"""Rotary position embedding over a square map (RoFormer: Su et al., 2021; axial form: Heo et al., 2024).

Written with real numbers, so that it exports: a pair of neighbouring channels is turned by an angle. The first half
of the pairs turns with the column, the second half with the row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

THETA = 10000.0
"""Ratio of the fastest to the slowest rotation."""


class Rotation(NamedTuple):
    """Cosines and sines by which the tokens of one map are turned, both (h * w, D/2)."""

    cos: Tensor
    sin: Tensor


def rotation(width: int, height: int, device: torch.device) -> Rotation:
    """The rotation of every cell of a square map for heads of `width` channels, in float32."""
    speed = THETA ** (-torch.arange(0, width, 4, device=device, dtype=torch.float32) / width)  # (D/4,)
    cell = torch.arange(height * height, device=device)
    column, row = cell % height, torch.div(cell, height, rounding_mode="floor")
    angle = torch.cat((column[:, None] * speed, row[:, None] * speed), dim=1)
    return Rotation(angle.cos(), angle.sin())


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Turn (..., T, D), T a whole number of maps one after another; -> the same shape and dtype."""
    cells, pairs = by.cos.shape
    even, odd = x.unflatten(-2, (-1, cells)).unflatten(-1, (pairs, 2)).unbind(-1)  # (..., maps, cells, pairs)
    turned = torch.stack((even * by.cos - odd * by.sin, even * by.sin + odd * by.cos), dim=-1)
    return turned.flatten(-2).flatten(-3, -2).to(x.dtype)
