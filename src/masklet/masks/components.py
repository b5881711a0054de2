"""Connected parts of masks, by OpenCV: the same on every device."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def small_holes(mask: NDArray[np.bool_], largest: int) -> NDArray[np.bool_]:
    """Background parts of at most `largest` pixels, 8-connected, also at the border: bool (H, W)."""
    background = (~mask).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] <= largest
    small[0] = False  # the mask itself
    return np.asarray(small[labels], np.bool_)


def without_islands(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The mask without its parts of fewer than `least` pixels, 8-connected; the largest part stays in any case."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= least
    keep[0] = False  # the background
    if not keep.any():
        keep[1 + int(areas[1:].argmax())] = True
    return np.asarray(keep[labels], np.bool_)


def without_small_regions(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The mask with holes of fewer than `least` pixels filled, then without islands of fewer."""
    return without_islands(mask | small_holes(mask, least - 1), least)
