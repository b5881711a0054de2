"""How many clicks a mask takes, and how good it is after so many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError
from masklet.metrics.region import Values


@dataclass(frozen=True)
class Clicks:
    """Clicks to a target IoU, over many objects.

    target  the IoU that is asked for, 0..1
    mean    NoC, the mean number of clicks; an object that never gets there counts with all the clicks it had
    failed  objects that never get there
    count   objects
    """

    target: float
    mean: float
    failed: int
    count: int


def clicks_to_reach(ious: Values | Sequence[Sequence[float]], target: float) -> NDArray[np.int64]:
    """Clicks until the IoU is first at or above the target: int64 (...), from 1; K where it never is.

    ious    float (..., K): after 1, 2, ... K clicks
    target  0..1, such as 0.85 or 0.9

    Source: Xu et al., "Deep Interactive Object Selection", CVPR 2016, section 5; K is 20 in most publications.
    """
    values = _checked(ious)
    reached = values >= target
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1, values.shape[-1])


def number_of_clicks(ious: Values | Sequence[Sequence[float]], target: float) -> Clicks:
    """NoC@target, such as NoC@85 and NoC@90, over objects: ious float (N, K) as in `clicks_to_reach`."""
    values = _checked(ious)
    clicks = clicks_to_reach(values, target)
    failed = int(np.count_nonzero(~(values >= target).any(axis=-1)))
    return Clicks(target, float(clicks.mean()), failed, clicks.size)


def iou_after(ious: Values | Sequence[Sequence[float]], clicks: int) -> float:
    """Mean IoU after so many clicks, 0..1: ious float (N, K) as in `clicks_to_reach`, clicks from 1 to K."""
    values = _checked(ious)
    if not 1 <= clicks <= values.shape[-1]:
        raise EvaluationError(f"asked for the IoU after {clicks} clicks; there are values for 1 to {values.shape[-1]}")
    return float(values[..., clicks - 1].mean())


def _checked(ious: Values | Sequence[Sequence[float]]) -> Values:
    values = np.asarray(ious, np.float64)
    if values.ndim == 0 or not values.size:
        raise EvaluationError(f"IoUs of the shape {values.shape} say nothing; give (objects, clicks), none of them 0")
    return values
