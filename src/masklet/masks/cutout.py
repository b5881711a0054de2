"""What a mask covers, alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def cut_out(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Image.Image:
    """The picture, uint8 (H, W, 3), as RGBA: transparent outside the mask, and black there, so that nothing hides."""
    opaque = mask[..., None].astype(np.uint8)
    return Image.fromarray(np.concatenate((image * opaque, opaque * np.uint8(255)), axis=2))
