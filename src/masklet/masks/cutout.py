"""What a mask covers, alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from masklet.masks.refine import own_colors


def cut_out(image: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture, uint8 (H, W, 3), as RGBA, uint8 (H, W, 4): transparent where alpha (H, W) is 0, and black there, so
    that nothing hides; where alpha is between 0 and 1 the colours are the thing's own."""
    levels = np.rint(alpha * 255).astype(np.uint8)
    return np.dstack((own_colors(image, alpha), levels))
