"""J and F written out pixel by pixel, to compare with."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst


def slow_region(predicted: np.ndarray, truth: np.ndarray) -> float:
    pairs = list(zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True))
    union = sum(a or b for a, b in pairs)
    return sum(a and b for a, b in pairs) / union if union else 1.0


def slow_outline(mask: np.ndarray) -> set[tuple[int, int]]:
    height, width = mask.shape
    found = set()
    for y in range(height):
        for x in range(width):
            near = {(min(y + dy, height - 1), min(x + dx, width - 1)) for dy, dx in ((0, 1), (1, 0), (1, 1))}
            if any(mask[place] != mask[y, x] for place in near):
                found.add((y, x))
    return found


def slow_boundary(predicted: np.ndarray, truth: np.ndarray, tolerance: float = 0.008) -> float:
    ours, theirs = slow_outline(predicted), slow_outline(truth)
    if not ours or not theirs:
        return float(not ours and not theirs)
    radius = tolerance if tolerance >= 1 else math.ceil(tolerance * math.hypot(*truth.shape))

    def found(some: set[tuple[int, int]], others: set[tuple[int, int]]) -> float:
        return sum(any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others) for y, x in some) / len(some)

    precision, recall = found(ours, theirs), found(theirs, ours)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def mask_pairs() -> st.SearchStrategy[np.ndarray]:
    """Two masks of one small size: bool (2, H, W); rough ones, and rectangles, which also touch the border."""
    sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))
    rough = sizes.flatmap(lambda size: npst.arrays(np.bool_, (2, *size)))
    return st.one_of(rough, sizes.flatmap(_rectangles))


def _rectangles(size: tuple[int, int]) -> st.SearchStrategy[np.ndarray]:
    def draw(edges: list[tuple[int, int, int, int]]) -> np.ndarray:
        masks = np.zeros((2, *size), np.bool_)
        for mask, (y0, x0, y1, x1) in zip(masks, edges, strict=True):
            mask[y0:y1, x0:x1] = True
        return masks

    rows, columns = st.integers(0, size[0]), st.integers(0, size[1])
    return st.lists(st.tuples(rows, columns, rows, columns), min_size=2, max_size=2).map(draw)
