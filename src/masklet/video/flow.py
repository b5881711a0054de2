"""Optical flow, along which the mask of the frame before is carried to where the object is now.

Dense inverse search (Kroeger et al., 2016; OpenCV's "medium" preset) on the grey picture at the network's size.
S is the side of the network's square.
"""

from __future__ import annotations

from functools import lru_cache
from threading import get_ident

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
"""(S, S), the brightness of a frame."""


def grey_square(image: NDArray[np.uint8], side: int) -> Grey:
    """A frame, uint8 (H, W, 3), as optical flow wants it: uint8 (side, side)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def optical_flow(frame: Grey, before: Grey, cells: int) -> NDArray[np.float32]:
    """Where each cell of a frame was in the frame before: float32 (cells, cells, 2), x and y from -1 to 1 across the
    picture, as `masklet.engines.arrays.sample` takes them."""
    flow = _estimator(get_ident()).calc(frame, before, None)  # type: ignore[call-overload]
    steps = cv2.resize(flow, (cells, cells), interpolation=cv2.INTER_AREA) * (2 / len(frame))
    centres = (2 * np.arange(cells, dtype=np.float32) + 1) / cells - 1
    return np.asarray(steps + np.stack(np.meshgrid(centres, centres), axis=-1), np.float32)


@lru_cache(16)
def _estimator(_: int) -> cv2.DISOpticalFlow:
    """One for each thread: it keeps what it computes with."""
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
