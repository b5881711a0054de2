"""From the network's low resolution to the picture's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def stretched(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(S/4, S/4) -> (H, W), bilinear."""
    height, width = size
    return np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
