"""Polygons with holes as single rings, for formats that know neither holes nor parts.

The ring runs along the outer border, over a bridge to each hole or further part, around it, and over the same bridge
back. A bridge has no area: filled by the even-odd rule the ring is the mask, to the pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from masklet.masks.polygons import Polygon, Ring


def one_ring(polygons: Sequence[Polygon]) -> Ring:
    """All parts of a mask and their holes as one ring (P, 2); (0, 2) for no part."""
    rings = [ring for polygon in polygons for ring in (polygon.outer, *polygon.holes)]
    if not rings:
        return np.zeros((0, 2))
    joined = rings[0]
    for ring in rings[1:]:
        joined = bridged(joined, ring)
    return joined


def bridged(ring: Ring, other: Ring) -> Ring:
    """Both as one ring, with a bridge from the other's first corner to the nearest of the ring."""
    at = int(((ring - other[0]) ** 2).sum(axis=1).argmin())
    return np.concatenate((ring[: at + 1], other, other[:1], ring[at:]))
