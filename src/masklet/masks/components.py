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
