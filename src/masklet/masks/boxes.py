"""Boxes of masks, (x0, y0, x1, y1) in pixels: x0 and y0 the first column and row, x1 and y1 one past the last.

So a box's width is x1 - x0, a mask of one pixel has a box of area 1, and any box of a mask is a prompt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mask_box(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(4,): the smallest box around a mask, bool (H, W); all 0 for an empty one."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.zeros(4, np.int64)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.int64)
