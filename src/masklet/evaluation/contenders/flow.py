"""Masks carried by optical flow: what a method without any learning can do."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray


def carry_by_flow(
    image: NDArray[np.uint8], following: NDArray[np.uint8], masks: Mapping[int, NDArray[np.float32]]
) -> Mapping[int, NDArray[np.float32]]:
    """Soft masks in the next frame: each pixel looks back along the flow, and takes what is there, bilinearly.

    The flow is DIS, medium preset (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016), from the
    next frame to this one. What flows in from beyond the picture is background.
    """
    if not masks:
        return masks
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    here, there = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (image, following))
    back = flow.calc(there, here, np.zeros((*image.shape[:2], 2), np.float32))
    rows, columns = np.indices(image.shape[:2], np.float32)
    across, down = columns + back[..., 0], rows + back[..., 1]
    return {number: _looked_up(soft, across, down) for number, soft in masks.items()}


def _looked_up(
    soft: NDArray[np.float32], across: NDArray[np.float32], down: NDArray[np.float32]
) -> NDArray[np.float32]:
    moved = cv2.remap(soft, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(moved, np.float32)
