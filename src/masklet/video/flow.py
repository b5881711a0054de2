"""The mask of the frame before, carried along optical flow to where the object is now.

Dense inverse search (Kroeger et al., 2016; OpenCV's "medium" preset) on the grey picture at the network's size.
Letters: N objects, S side of the network's square, h and w = S/4 the cells of a mask's sides.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Grey = NDArray[np.uint8]
"""(S, S), the brightness of a frame."""


def grey_square(image: NDArray[np.uint8], side: int) -> Grey:
    """A frame, uint8 (H, W, 3), as optical flow wants it: uint8 (side, side)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def optical_flow(frame: Grey, before: Grey, cells: int) -> Tensor:
    """Where each cell of a frame was in the frame before: float32 (cells, cells, 2), x and y from -1 to 1 across the
    picture, as `torch.nn.functional.grid_sample` takes them."""
    flow = _estimator().calc(frame, before, None)  # type: ignore[call-overload]
    steps = cv2.resize(flow, (cells, cells), interpolation=cv2.INTER_AREA) * (2 / len(frame))
    centres = (2 * np.arange(cells, dtype=np.float32) + 1) / cells - 1
    return torch.from_numpy(steps + np.stack(np.meshgrid(centres, centres), axis=-1))


def carry(logits: Tensor, flow: Tensor) -> Tensor:
    """Logits (N, 1, h, w) of the frame before, moved along the flow, (N or 1, h, w, 2), to the frame."""
    where = flow.to(logits.device, logits.dtype).expand(len(logits), -1, -1, -1)
    return F.grid_sample(logits, where, padding_mode="border", align_corners=False)


@cache
def _estimator() -> cv2.DISOpticalFlow:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
