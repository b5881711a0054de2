"""The metrics that compare two masks, by name, with what they say of empty ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from masklet.metrics.boundary import adaptive_boundary_accuracy, boundary_accuracy, boundary_iou
from masklet.metrics.region import Mask, Values, region_similarity


@dataclass(frozen=True)
class Metric:
    """One entry.

    name        what tables call it
    help        one line
    score       predicted and true masks, bool (..., H, W) -> float64 (...), in 0..1
    both_empty  its value if neither mask has a pixel
    one_empty   its value if one of them has none
    """

    name: str
    help: str
    score: Callable[[Mask, Mask], Values]
    both_empty: float = 1.0
    one_empty: float = 0.0


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("J", "region similarity: the IoU of two masks", region_similarity),
        Metric("F", "boundary accuracy: precision and recall of the outline", boundary_accuracy),
        Metric("F-dot", "boundary accuracy, stricter for small objects", adaptive_boundary_accuracy),
        Metric("boundary IoU", "the IoU of the rims of two masks", boundary_iou),
    )
}
"""By name."""
