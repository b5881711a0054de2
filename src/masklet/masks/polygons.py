"""Masks as polygons along the edges of their pixels, so that nothing is lost: the corners of a mask of one pixel are
(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), and a polygon's area is the number of its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import rlemasklib  # type: ignore[import-untyped]
from numpy.typing import NDArray

from masklet.masks.boxes import mask_box

Ring = NDArray[np.float64]
"""(P, 2): corners (x, y) in pixels, the last joined to the first."""


@dataclass(frozen=True, eq=False)
class Polygon:
    """One connected part of a mask.

    outer  its border
    holes  the borders of what is missing inside
    """

    outer: Ring
    holes: tuple[Ring, ...] = ()


def mask_polygons(mask: NDArray[np.bool_], tolerance: float = 0.0) -> list[Polygon]:
    """The parts of a mask, bool (H, W), 8-connected, the largest border first; none for an empty mask.

    tolerance  how far the corners that are left out may lie from the line, in pixels; 0 leaves out none
    """
    x0, y0, x1, y1 = mask_box(mask)
    # Every pixel becomes four. Of these the border that OpenCV walks along lies beside one edge of the pixel each,
    # and half of its coordinate, rounded up, is the edge's own.
    doubled = mask[y0:y1, x0:x1].astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    if not doubled.size:
        return []
    found, tree = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    corner = np.array((x0, y0))
    rings = [simplified(corners((ring[:, 0] + 1) // 2 + corner), tolerance) for ring in found]
    parents = tree[0][:, 3]
    parts = [
        Polygon(ring, tuple(rings[hole] for hole in np.flatnonzero(parents == index)))
        for index, ring in enumerate(rings)
        if parents[index] < 0
    ]
    return sorted(parts, key=lambda part: ring_area(part.outer), reverse=True)


def fill_polygons(polygons: Sequence[Polygon], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W): the pixels whose centre lies in a polygon and in none of its holes."""
    mask = np.zeros(size, np.bool_)
    for polygon in polygons:
        part = filled(polygon.outer, size)
        for hole in polygon.holes:
            part &= ~filled(hole, size)
        mask |= part
    return mask


def ring_area(ring: Ring) -> float:
    """Pixels inside a ring (the shoelace formula)."""
    x, y = ring.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def corners(ring: NDArray[Any]) -> Ring:
    """The ring without points that repeat the one before, and without those on a straight line."""
    ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return ring[turns].astype(np.float64)


def simplified(ring: Ring, tolerance: float) -> Ring:
    """Fewer corners (Douglas and Peucker, 1973); the ring as it is where fewer than three would be left."""
    if tolerance <= 0:
        return ring
    fewer = cv2.approxPolyDP(ring.astype(np.float32), tolerance, closed=True)[:, 0]
    return ring if len(fewer) < 3 else fewer.astype(np.float64)


def filled(ring: Ring, size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W)"""
    encoded = rlemasklib.from_polygon(ring.reshape(-1), imshape=size)
    return np.asarray(rlemasklib.decode(encoded), np.bool_)
