"""Rotary position embedding over a square map (RoFormer: Su et al., 2021; axial form: Heo et al., 2024).

A pair of neighbouring channels is turned by an angle. The first half of the pairs turns with the column, the second
half with the row.
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
    cell = torch.arange(height, device=device, dtype=torch.float32)
    row, column = torch.meshgrid(cell, cell, indexing="ij")
    angle = torch.cat((column.reshape(-1, 1) * speed, row.reshape(-1, 1) * speed), dim=1)
    return Rotation(angle.cos(), angle.sin())


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Turn (..., T, D), T a whole number of maps one after another; -> the same shape and dtype."""
    cells, pairs = by.cos.shape
    x = x.unflatten(-2, (-1, cells)).unflatten(-1, (pairs, 2))  # (..., maps, cells, pairs, 2)
    exact = x.dtype == torch.float32 and not torch.compiler.is_compiling()
    turned = _rotate_complex(x, by) if exact else _rotate_real(x, by)
    return turned.flatten(-2).flatten(-3, -2)


def _rotate_complex(x: Tensor, by: Rotation) -> Tensor:
    """Pairs as complex numbers: one pass over memory, several times quicker than five."""
    return torch.view_as_real(torch.view_as_complex(x.contiguous()) * torch.complex(by.cos, by.sin))


def _rotate_real(x: Tensor, by: Rotation) -> Tensor:
    """The same in real numbers, for what has no complex ones: half precision, compilers and exporters."""
    even, odd = x.unbind(-1)
    return torch.stack((even * by.cos - odd * by.sin, even * by.sin + odd * by.cos), dim=-1).to(x.dtype)
