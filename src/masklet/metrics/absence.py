"""J and F in the two hard stretches of a track: while the object is gone, and after it has come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from masklet.metrics.protocols import ObjectScores
from masklet.metrics.region import Mask
from masklet.metrics.sequence import Measured


@dataclass(frozen=True)
class Stretch:
    """J and F over some frames of one object; NaN where there is no such frame.

    frames    how many
    region    mean J
    boundary  mean F
    """

    frames: int
    region: float
    boundary: float

    @property
    def mean(self) -> float:
        """J&F"""
        return (self.region + self.boundary) / 2


def disappeared(measured: Measured) -> Mask:
    """Frames of an absence: the truth is empty and has shown the object before: bool (N, T)."""
    visible = measured.truth_area > 0
    return ~visible & np.logical_or.accumulate(visible, axis=1)


def reappeared(measured: Measured) -> Mask:
    """Frames after an absence: the truth shows the object and has lost it before: bool (N, T)."""
    return (measured.truth_area > 0) & np.logical_or.accumulate(disappeared(measured), axis=1)


def over(scores: ObjectScores, measured: Measured, which: Mask) -> Stretch:
    """The mean over those frames of an object that a protocol counts and that are of this kind.

    which  bool (N, T), from `disappeared` or `reappeared` of the same `measured`

    In a frame of an absence a value is 1 if the prediction is empty too, and 0 if not. With the F of the protocol
    `mosev2` these are its J&F-dot for disappearance and reappearance.

    Source: Ding et al., MOSEv2, 2025; there as means over clips of each kind, here frame by frame.
    """
    row = which[measured.objects.index(scores.object)][scores.frames]
    if not row.any():
        return Stretch(0, float("nan"), float("nan"))
    return Stretch(int(row.sum()), float(scores.region[row].mean()), float(scores.boundary[row].mean()))
