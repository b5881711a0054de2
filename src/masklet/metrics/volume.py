"""Dice and surface distances of masks of volumes. Distances need SciPy (`masklet[eval]`)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from masklet.errors import EvaluationError, needing
from masklet.metrics.jf import Mask, checked, extent

SURFACE_TOLERANCE = 2.0
"""Millimetres by which surfaces may lie apart for the normalised surface Dice, if nobody says otherwise."""


@dataclass(frozen=True)
class SurfaceDistances:
    """How far two surfaces lie apart."""

    # normalised surface Dice, 0..1: the share of both surfaces that lies within the tolerance of the other one
    nsd: float
    hd95: float  # the larger of both 95th percentiles of distances, in millimetres
    mean: float  # the mean distance from one surface to the other, over both, in millimetres


def dice(predicted: Mask, truth: Mask) -> float:
    """Twice the intersection over the sum of both masks, bool of one shape: 0..1; 1 if both are empty.

    Raises EvaluationError for other types, and shapes that differ.
    """
    checked(predicted, truth)
    total = np.count_nonzero(predicted) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(predicted & truth) / total if total else 1.0


def surface_distances(
    predicted: Mask, truth: Mask, spacing: ArrayLike, *, tolerance: float = SURFACE_TOLERANCE
) -> SurfaceDistances:
    """Distances between the surfaces of two masks, bool (I, J, K).

    predicted, truth  of one shape
    spacing           (3,), millimetres from voxel to voxel along each axis
    tolerance         millimetres

    A surface is every voxel of a mask with a neighbour by a face that is outside of it, or at the volume's border; each
    counts alike. Both masks empty: 1, 0 and 0. One of them empty: 0, and infinite distances. Raises EvaluationError as
    `dice`, and for a spacing that is none.

    Source: Nikolov et al., "Clinically Applicable Segmentation of Head and Neck Anatomy for Radiotherapy", 2021, who
    weigh pieces of surface by their area; equal weights, as here, differ a little where spacing does.
    """
    with needing("eval", "a distance of surfaces", EvaluationError):
        from scipy.ndimage import binary_erosion, distance_transform_edt
    checked(predicted, truth)
    sides = np.asarray(spacing, np.float64)
    if sides.shape != (predicted.ndim,) or not (np.isfinite(sides) & (sides > 0)).all():
        raise EvaluationError(f"spacing is {spacing!r}; give a length over 0 for each of {predicted.ndim} axes")
    if not predicted.any() or not truth.any():
        same = bool(predicted.any() == truth.any())
        return SurfaceDistances(1.0, 0.0, 0.0) if same else SurfaceDistances(0.0, np.inf, np.inf)
    cut = extent(predicted | truth)
    surfaces = [mask[cut] & ~binary_erosion(mask[cut]) for mask in (predicted, truth)]
    to = [distance_transform_edt(~surface, sampling=sides) for surface in surfaces]
    there, back = to[1][surfaces[0]], to[0][surfaces[1]]
    both = np.concatenate((there, back))
    return SurfaceDistances(
        float((both <= tolerance).mean()),
        float(max(np.percentile(there, 95), np.percentile(back, 95))),
        float(both.mean()),
    )
