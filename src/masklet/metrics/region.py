"""Region similarity J: how much of two masks is common to both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


def region_similarity(predicted: Mask, truth: Mask, void: Mask | None = None) -> Values:
    """J, the intersection of two masks over their union: float64 (...), in 0..1.

    predicted, truth  bool (..., H, W), of one shape: any number of leading axes, such as objects and frames
    void              bool (..., H, W) that broadcasts to it: pixels that count neither as inside nor as outside

    Both masks empty: 1, as nothing was to be found and nothing was. One of them empty: 0. Masks on the border and
    masks of one pixel take no rule of their own. This is also what is called the IoU of masks.

    Source: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR
    2016, section 5; void pixels and empty masks as in the published DAVIS 2017 evaluation.
    """
    predicted, truth = checked(predicted, truth, void)
    intersection = np.count_nonzero(predicted & truth, axis=(-2, -1))
    union = np.count_nonzero(predicted | truth, axis=(-2, -1))
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


mask_iou = region_similarity
"""The same under its other name."""


def checked(predicted: Mask, truth: Mask, void: Mask | None) -> tuple[Mask, Mask]:
    """Both masks without the void pixels. Types and shapes are the caller's to get right."""
    assert predicted.dtype == truth.dtype == np.bool_, f"masks are {predicted.dtype} and {truth.dtype}; expected bool"
    assert predicted.shape == truth.shape, f"masks are {predicted.shape} and {truth.shape}; expected one shape"
    assert predicted.ndim >= 2, f"masks are {predicted.shape}; expected (..., H, W)"
    if void is None:
        return predicted, truth
    return predicted & ~void, truth & ~void
