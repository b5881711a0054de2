"""Region similarity J: how much of two masks is common to both."""

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


def region_similarity(predicted: Mask, truth: Mask, void: Mask | None = None) -> Values:
    """J, the intersection of two masks over their union: float64 (...), in 0..1.

    predicted, truth  bool (..., H, W), of one shape: any number of leading axes, such as objects and frames
    void              bool (..., H, W) that broadcasts to it: pixels that count neither as inside nor as outside

    Both masks empty: 1, as nothing was to be found and nothing was. One of them empty: 0. Masks on the border and
    masks of one pixel take no rule of their own. This is also what is called the IoU of masks. Raises
    EvaluationError for arrays of another type or of unequal shapes.

    Source: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR
    2016, section 5; void pixels and empty masks as in the published DAVIS 2017 evaluation.
    """
    predicted, truth = checked(predicted, truth, void)
    intersection = area(predicted & truth)
    union = area(predicted) + area(truth) - intersection
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def area(masks: Mask) -> NDArray[np.int64]:
    """Pixels in each mask, bool (..., H, W): int64 (...)."""
    flat = masks.reshape(-1, *masks.shape[-2:])
    counts = [np.count_nonzero(mask) for mask in flat]  # much quicker than over axes, where NumPy adds numbers up
    return np.array(counts, np.int64).reshape(masks.shape[:-2])


def extent(mask: Mask, margin: int = 0) -> tuple[slice, ...]:
    """The part of a mask, bool of any axes, that holds all of it, and so many cells around it; empty for an empty
    mask."""
    found = []
    for axis in range(mask.ndim):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        found.append(slice(max(there[0] - margin, 0), there[-1] + 1 + margin) if len(there) else slice(0, 0))
    return tuple(found)


def checked(predicted: Mask, truth: Mask, void: Mask | None = None) -> tuple[Mask, Mask]:
    """Both masks without the void pixels. Raises EvaluationError for another type or shape."""
    if not predicted.dtype == truth.dtype == np.bool_:
        raise EvaluationError(f"masks of the types {predicted.dtype} and {truth.dtype}; give arrays of bool")
    if predicted.shape != truth.shape or predicted.ndim < 2:
        raise EvaluationError(
            f"predicted masks of the shape {predicted.shape} and true ones of {truth.shape}; "
            "give two of one shape (..., height, width)"
        )
    if void is None:
        return predicted, truth
    return predicted & ~void, truth & ~void
