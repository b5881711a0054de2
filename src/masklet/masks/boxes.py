"""Boxes of masks, (x0, y0, x1, y1) in pixels: x0 and y0 the first column and row, x1 and y1 one past the last.

So a box's width is x1 - x0, a mask of one pixel has a box of area 1, and any box of a mask is a prompt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mask_box(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(4,): the smallest box around a mask, bool (H, W); all 0 for an empty one."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.zeros(4, np.int64)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.int64)


def suppress(boxes: ArrayLike, scores: ArrayLike, most: float) -> NDArray[np.int64]:
    """Numbers of the boxes that stay, best first (greedy non-maximum suppression).

    Args:
        boxes: (M, 4) x0, y0, x1, y1.
        scores: (M,); of equal ones the earlier counts as better.
        most: A box stays if its intersection over union with every better one that stayed is not above this.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    rest = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    kept = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        rest = rest[box_iou(corners[best], corners[rest]) <= most]
    return np.array(kept, np.int64)


def box_iou(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box, (4,), with M others, (M, 4) -> (M,); 0 where neither has an area."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    either = box_area(box) + box_area(others) - shared
    return np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)


def box_area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) -> (...)"""
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))
