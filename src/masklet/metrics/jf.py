"""J and F of two masks: how much of both is common, and how well their outlines agree."""

from collections.abc import Callable
from math import ceil, hypot, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]

BOUNDARY_TOLERANCE = 0.008
"""Share of the picture's diagonal by which outlines may lie apart (DAVIS)."""

OBJECT_TOLERANCE = 0.1
"""Share of the root of an object's area by which outlines may lie apart (MOSEv2)."""


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


def boundary_accuracy(
    predicted: Mask, truth: Mask, void: Mask | None = None, *, tolerance: float = BOUNDARY_TOLERANCE
) -> Values:
    """F, the harmonic mean of precision and recall of the outline: float64 (...), in 0..1.

    predicted, truth  bool (..., H, W), of one shape: any number of leading axes, such as objects and frames
    void              bool (..., H, W) that broadcasts to it: pixels that are outside both masks
    tolerance         below 1 a share of the diagonal, rounded up to pixels; from 1 on, pixels

    A pixel of one outline is found if the other outline has one within the tolerance (a disk). Precision is the
    share of the predicted outline that is found in the true one, recall the reverse.

    Both outlines empty: 1. One of them empty: 0. A mask of the whole picture has no outline, so it counts as empty
    here, not in J; along the picture's border there is no outline either. A mask of one pixel has an outline of four
    pixels, or less at the border; in the last row and column, one pixel may have none.

    Source: Perazzi et al., CVPR 2016, section 5, and Martin, Fowlkes and Malik, PAMI 2004; outline, disk and empty
    masks as in the published DAVIS 2017 evaluation, whose values these are.
    """
    predicted, truth = checked(predicted, truth, void)
    reach = disk(pixels_within(tolerance, predicted.shape[-2:]))
    return _for_each_pair(predicted, truth, lambda ours, theirs: _outline_score(ours, theirs, reach))


def adaptive_boundary_accuracy(predicted: Mask, truth: Mask, void: Mask | None = None) -> Values:
    """F with a dot: F whose tolerance shrinks with the object: float64 (...), in 0..1.

    The arguments and the rules are those of `boundary_accuracy`, but outlines may lie apart by 0.1 times the root of
    the true mask's area, in whole pixels, at least 1 and at most what F allows. Where the truth is empty, only an
    empty prediction scores 1.

    Source: Ding et al., "MOSEv2: A More Challenging Dataset for Video Object Segmentation in Complex Scenes", 2025.
    The numbers of its server have not been compared with these.
    """
    predicted, truth = checked(predicted, truth, void)
    widest = pixels_within(BOUNDARY_TOLERANCE, predicted.shape[-2:])

    def score(ours: Mask, theirs: Mask) -> float:
        radius = int(OBJECT_TOLERANCE * sqrt(np.count_nonzero(theirs)))
        return _outline_score(ours, theirs, disk(min(max(radius, 1), widest)))

    return _for_each_pair(predicted, truth, score)


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


def outline(mask: Mask) -> Mask:
    """Where a mask, bool (..., H, W), differs from its right, lower or lower right neighbour: bool (..., H, W).

    Beyond the last row and column the picture goes on as it ends, so the border itself is no outline.
    """
    edge = np.zeros_like(mask)
    edge[..., :, :-1] = mask[..., :, :-1] ^ mask[..., :, 1:]
    edge[..., :-1, :] |= mask[..., :-1, :] ^ mask[..., 1:, :]
    edge[..., :-1, :-1] |= mask[..., :-1, :-1] ^ mask[..., 1:, 1:]
    return edge


def disk(radius: int) -> NDArray[np.uint8]:
    """All offsets that are at most `radius` long, as 0 and 1: uint8 (2 radius + 1, 2 radius + 1)."""
    offsets = np.arange(-radius, radius + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.uint8)


def pixels_within(tolerance: float, size: tuple[int, ...]) -> int:
    """A tolerance in whole pixels for a picture of (height, width)."""
    return int(tolerance) if tolerance >= 1 else ceil(tolerance * hypot(*size))


def _for_each_pair(predicted: Mask, truth: Mask, score: Callable[[Mask, Mask], float]) -> Values:
    shape, size = predicted.shape[:-2], predicted.shape[-2:]
    pairs = zip(predicted.reshape(-1, *size), truth.reshape(-1, *size), strict=True)
    cuts = ((ours, theirs, extent(ours | theirs, margin=1)) for ours, theirs in pairs)  # nothing else has an outline
    return np.array([score(ours[cut], theirs[cut]) for ours, theirs, cut in cuts], np.float64).reshape(shape)


def _outline_score(ours: Mask, theirs: Mask, reach: NDArray[np.uint8]) -> float:
    ours, theirs = outline(ours), outline(theirs)
    sizes = np.count_nonzero(ours), np.count_nonzero(theirs)
    if not all(sizes):
        return 0.0 if any(sizes) else 1.0
    precision = np.count_nonzero(ours & _dilated(theirs, reach)) / sizes[0]
    recall = np.count_nonzero(theirs & _dilated(ours, reach)) / sizes[1]
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _dilated(edge: Mask, reach: NDArray[np.uint8]) -> Mask:
    return cv2.dilate(edge.view(np.uint8), reach).view(np.bool_)
