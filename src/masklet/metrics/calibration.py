"""Whether a model's own estimates can be believed: predicted IoU against true, presence against being there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError
from masklet.metrics.region import Values

BINS = 15
"""Bins of equal width, as in the source."""


@dataclass(frozen=True)
class Calibration:
    """Estimates and what came of them, sorted into B bins of equal width over 0..1.

    counts     estimates in each bin, int64 (B,)
    estimated  their sum, float64 (B,)
    true       sum of what came of them, float64 (B,)
    """

    counts: NDArray[np.int64]
    estimated: Values
    true: Values

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1: the mean gap between a bin's mean estimate and mean outcome,
        weighted by its estimates; NaN without any."""
        total = self.counts.sum()
        return float(np.abs(self.estimated - self.true).sum() / total) if total else float("nan")

    def curve(self) -> tuple[Values, Values]:
        """Mean estimate and mean outcome of each bin that has any, to be drawn against each other: two (K,)."""
        used = self.counts > 0
        return self.estimated[used] / self.counts[used], self.true[used] / self.counts[used]


def calibration(estimates: Values, outcomes: Values | NDArray[np.bool_], bins: int = BINS) -> Calibration:
    """Sort estimates and outcomes into bins.

    estimates  0..1, any shape: predicted IoU, or presence as a probability
    outcomes   0..1 or bool, of the same shape: the true IoU, or whether the object is there

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2; for IoU the outcome is a
    share where theirs is right or wrong. Raises EvaluationError for unequal shapes and values outside 0..1.
    """
    guesses, results = np.asarray(estimates, np.float64).ravel(), np.asarray(outcomes, np.float64).ravel()
    if guesses.shape != results.shape:
        raise EvaluationError(f"{guesses.size} estimates and {results.size} outcomes; give one outcome for each")
    for name, values in (("estimates", guesses), ("outcomes", results)):
        if not ((values >= 0) & (values <= 1)).all():
            raise EvaluationError(f"{name} reach from {values.min()} to {values.max()}; expected 0..1")
    places = np.minimum((guesses * bins).astype(np.int64), bins - 1)
    return Calibration(
        np.bincount(places, minlength=bins),
        np.bincount(places, guesses, minlength=bins).astype(np.float64),
        np.bincount(places, results, minlength=bins).astype(np.float64),
    )


def merge(parts: Sequence[Calibration]) -> Calibration:
    """The same as if all had been sorted at once. Raises EvaluationError for different numbers of bins, or none."""
    if len({len(part.counts) for part in parts}) != 1:
        raise EvaluationError("calibrations of different numbers of bins, or none, cannot be merged; give equal ones")
    return Calibration(
        np.sum([part.counts for part in parts], axis=0),
        np.sum([part.estimated for part in parts], axis=0),
        np.sum([part.true for part in parts], axis=0),
    )
