"""Position codes: sines of places and of ages, random Fourier features of points, and rotations of keys and queries.

None depends on the frame. `Network.prepare` computes those that the network needs once.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

TEMPERATURE = 10000.0
"""Ratio of the longest to the shortest wavelength (Vaswani et al., 2017)."""

THETA = 10000.0
"""Ratio of the fastest to the slowest rotation."""


def _wavelengths(count: int, device: torch.device) -> Tensor:
    """(count,): each appears twice, for a sine and a cosine."""
    index = torch.arange(count, device=device, dtype=torch.float32)
    return TEMPERATURE ** (2 * torch.div(index, 2, rounding_mode="floor") / count)


def sine_map(width: int, height: int, device: torch.device) -> Tensor:
    """Sine code of every cell of a square map: (width, height, height), rows in the first half of the channels.

    Cells count from 1 and are scaled to 2 pi; sine and cosine alternate (DETR: Carion et al., 2020, normalised).
    """
    half = width // 2
    place = torch.arange(1, height + 1, device=device, dtype=torch.float32) / (height + 1e-6) * (2 * math.pi)
    phase = place[:, None] / _wavelengths(half, device)  # (height, half)
    code = torch.stack((phase[:, 0::2].sin(), phase[:, 1::2].cos()), dim=2).flatten(1)
    rows = code[:, None, :].expand(height, height, half)
    columns = code[None, :, :].expand(height, height, half)
    return torch.cat((rows, columns), dim=2).permute(2, 0, 1).contiguous()


def sine_ages(ages: Tensor, width: int) -> Tensor:
    """Sine code of numbers: (...) -> (..., width) float32, all sines before all cosines."""
    phase = ages.float()[..., None] / _wavelengths(width // 2, ages.device)
    return torch.cat((phase.sin(), phase.cos()), dim=-1)


class FourierCode(nn.Module):
    """Random Fourier features of places in the unit square (Tancik et al., 2020); the matrix is fixed, not trained."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, places: Tensor) -> Tensor:
        """places (..., 2) as x, y in 0..1 -> (..., width) float32."""
        matrix = self.positional_encoding_gaussian_matrix.float()
        phase = (2 * places.float() - 1) @ matrix * (2 * math.pi)
        return torch.cat((phase.sin(), phase.cos()), dim=-1)

    def grid(self, height: int) -> Tensor:
        """The code of the cell centres of a square map: (height * height, width) float32."""
        centre = (torch.arange(height, device=self.positional_encoding_gaussian_matrix.device) + 0.5) / height
        y, x = torch.meshgrid(centre, centre, indexing="ij")
        return self(torch.stack((x, y), dim=-1).flatten(0, 1))


class Rotation(NamedTuple):
    """Cosines and sines by which the tokens of one square map are turned, both (h * w, D/2).

    Rotary position embedding (RoFormer: Su et al., 2021; axial form: Heo et al., 2024). A pair of neighbouring channels
    is turned by an angle. The first half of the pairs turns with the column, the second half with the row.
    """

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
