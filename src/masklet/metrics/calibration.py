"""Whether a model's own estimates can be believed: predicted IoU against true, presence against being there."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError
from masklet.metrics.jf import Values

CALIBRATION_BINS = 15
"""Bins of equal width, as in the source."""


@dataclass(frozen=True)
class Calibration:
    """Estimates and what came of them, sorted into B bins of equal width over 0..1."""

    counts: tuple[int, ...]  # estimates in each bin, B
    estimated: tuple[float, ...]  # their sum, B
    true: tuple[float, ...]  # sum of what came of them, B

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1: the mean gap between a bin's mean estimate and mean outcome,
        weighted by its estimates; NaN without any."""
        total = sum(self.counts)
        gaps = np.abs(np.subtract(self.estimated, self.true))
        return float(gaps.sum() / total) if total else float("nan")


def calibration(estimates: Values, outcomes: Values | NDArray[np.bool_], bins: int = CALIBRATION_BINS) -> Calibration:
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
    columns = (np.bincount(places, weights, minlength=bins).tolist() for weights in (None, guesses, results))
    return Calibration(*map(tuple, columns))


def merge_calibrations(parts: Sequence[Calibration]) -> Calibration:
    """The same as if all had been sorted at once. Raises EvaluationError for different numbers of bins, or none."""
    if len({len(part.counts) for part in parts}) != 1:
        raise EvaluationError("calibrations of different numbers of bins, or none, cannot be merged; give equal ones")
    return Calibration(*(tuple(np.sum(rows, axis=0).tolist()) for rows in zip(*map(astuple, parts), strict=True)))
