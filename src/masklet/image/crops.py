"""Where an automatic mask generator looks: a grid of points, in the picture and in crops of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from masklet.masks.patch import Box

EDGE = 20
"""A box whose side lies this near, in pixels, to the side of a crop is taken for a thing that the crop cuts through
(SAM release)."""


@dataclass(frozen=True)
class Crop:
    """A part of a picture.

    box    in pixels of the picture
    layer  0 the whole picture, then finer ones
    """

    box: Box
    layer: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0


def point_grid(side: int) -> NDArray[np.float64]:
    """(side * side, 2): x and y in 0..1, in the middle of as many cells, row after row."""
    places = (np.arange(side) + 0.5) / side
    y, x = np.meshgrid(places, places, indexing="ij")
    return np.stack((x, y), axis=-1).reshape(-1, 2)


def plan_crops(size: tuple[int, int], layers: int, overlap: float) -> list[Crop]:
    """The whole picture, and for each layer l = 1, 2, ... 2**l crops along each axis.

    Args:
        size: (height, width) of the picture.
        layers: How many layers of crops.
        overlap: Of neighbours in the first layer, as a share of the picture's shorter side; half of it in the next.
    """
    height, width = size
    crops = [Crop((0, 0, width, height), 0)]
    for layer in range(1, layers + 1):
        count = 2**layer
        shared = int(overlap * min(size) * 2 / count)
        across, down = (math.ceil((shared * (count - 1) + length) / count) for length in (width, height))
        begins = product(*([(side - shared) * n for n in range(count)] for side in (across, down)))
        crops += [Crop((x, y, min(x + across, width), min(y + down, height)), layer) for x, y in begins]
    return [crop for crop in crops if min(crop.size) > 0]


def is_cut(box: Box, crop: Box, size: tuple[int, int]) -> bool:
    """Whether a mask's box ends at a side of the crop that is no side of the picture, so that a crop beside it will
    show more of the thing."""
    height, width = size
    sides = zip(box, crop, (0, 0, width, height), strict=True)
    return any(abs(edge - end) <= EDGE and abs(edge - border) > EDGE for edge, end, border in sides)
