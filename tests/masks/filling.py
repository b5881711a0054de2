"""What polygons show when they are filled again."""

from collections.abc import Sequence

import numpy as np
import rlemasklib  # type: ignore[import-untyped]
from numpy.typing import NDArray

from masklet.masks.polygons import Polygon, Ring


def fill_polygons(polygons: Sequence[Polygon], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W): the pixels whose centre lies in a polygon and in none of its holes."""
    mask = np.zeros(size, np.bool_)
    for polygon in polygons:
        part = filled(polygon.outer, size)
        for hole in polygon.holes:
            part &= ~filled(hole, size)
        mask |= part
    return mask


def filled(ring: Ring, size: tuple[int, int]) -> NDArray[np.bool_]:
    encoded = rlemasklib.from_polygon(ring.reshape(-1), imshape=size)
    return np.asarray(rlemasklib.decode(encoded), np.bool_)
