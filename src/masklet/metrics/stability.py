"""Temporal stability: whether a mask moves as the picture does, or flickers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError
from masklet.metrics.region import Mask, Values, region_similarity


def temporal_stability(masks: Mask, flow: NDArray[np.float32]) -> Values:
    """How well each mask agrees with the one before, carried along by the motion: float64 (..., T - 1), in 0..1.

    masks  bool (..., T, H, W); leading axes may be objects
    flow   float32 (T - 1, H, W, 2): for each pixel of frames 1, 2, ... how far to go, in x and y, to where it was in
           the frame before. OpenCV's flow from a frame to the one before is such a one.

    The truth needs no masks: a mask that is steadily wrong is stable. Two empty masks: 1; where one of the two is
    empty: 0. What comes in from outside the picture counts as empty. Raises EvaluationError for shapes that do not
    fit.

    Source: the temporal consistency of Liu et al., "Efficient Semantic Video Segmentation with Per-frame Inference",
    ECCV 2020, section 4. (The T of DAVIS-2016 follows outlines; DAVIS-2017 gave it up.)
    """
    if masks.ndim < 3 or masks.shape[-3] < 1 or flow.shape != (masks.shape[-3] - 1, *masks.shape[-2:], 2):
        raise EvaluationError(
            f"masks of the shape {masks.shape} and flow of {flow.shape}; "
            "give masks (..., T, height, width) and flow (T - 1, height, width, 2)"
        )
    before, after = masks[..., :-1, :, :], masks[..., 1:, :, :]
    return region_similarity(_carried(before, flow), after)


def _carried(masks: Mask, flow: NDArray[np.float32]) -> Mask:
    """Masks (..., T - 1, H, W) in the place where the flow says that they are a frame later."""
    height, width = masks.shape[-2:]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    moved = np.empty_like(masks)
    for place in np.ndindex(masks.shape[:-2]):
        step = flow[place[-1]]
        moved[place] = cv2.remap(
            masks[place].astype(np.uint8),
            columns + step[..., 0],
            rows + step[..., 1],
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
    return moved
