"""From values per frame to the numbers of a table: mean, recall and decay, J&F, and the G of YouTube-VOS."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from masklet.errors import EvaluationError
from masklet.metrics.region import Values

RECALL_THRESHOLD = 0.5
"""A frame counts for recall if its value is above this."""


@dataclass(frozen=True)
class Summary:
    """What a run of values per frame comes to."""

    mean: float  # mean over frames, 0..1
    recall: float  # share of frames above 0.5, 0..1
    decay: float  # mean of the first quarter less the mean of the last, -1..1; above 0 if the values fall


@dataclass(frozen=True)
class RegionAndBoundary:
    """J and F side by side."""

    region: Summary  # of J
    boundary: Summary  # of F

    @property
    def mean(self) -> float:
        """J&F: the mean of both means, 0..1."""
        return (self.region.mean + self.boundary.mean) / 2

    def values(self) -> tuple[float, ...]:
        """J&F, mean, recall and decay of J, and of F: the numbers that DAVIS reports."""
        return (self.mean, *astuple(self.region), *astuple(self.boundary))


@dataclass(frozen=True)
class SeenAndUnseen:
    """The numbers of YouTube-VOS: means over the objects of categories that training has, and that it lacks.

    A number without objects is NaN, and so is G then.
    """

    region_seen: float
    region_unseen: float
    boundary_seen: float
    boundary_unseen: float

    @property
    def overall(self) -> float:
        """G, the mean of the four."""
        return float(np.mean(astuple(self)))

    def named(self) -> dict[str, float]:
        return dict(zip(("G", "J seen", "J unseen", "F seen", "F unseen"), (self.overall, *astuple(self)), strict=True))


def summarise(per_frame: Values | Sequence[float]) -> Summary:
    """Mean, recall and decay of the values of one object, (T,), in the order of frames.

    The quarters of the decay share their border frames, so a single value falls into all four. Raises
    EvaluationError if there is no value.

    Source: Perazzi et al., CVPR 2016, section 5; quarters as in the published DAVIS 2017 evaluation. That program
    holds the border frames in 8 bits, so its decay is meaningless beyond 256 frames; here it is not.
    """
    values = np.asarray(per_frame, np.float64)
    if values.ndim != 1 or not len(values):
        raise EvaluationError(f"values of the shape {values.shape} have no mean; give one value per frame, (T,)")
    borders = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(np.int64) - 1
    first, last = values[: borders[1] + 1], values[borders[3] :]
    return Summary(
        mean=float(values.mean()),
        recall=float((values > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )


def average(summaries: Iterable[Summary]) -> Summary:
    """Plain mean over objects: the numbers of a whole data set. Every object counts alike, however long it is seen."""
    rows = np.array([astuple(summary) for summary in summaries], np.float64)
    if not len(rows):
        raise EvaluationError("there is no object to average over; give at least one sequence with an object")
    return Summary(*(float(value) for value in rows.mean(axis=0)))


def seen_and_unseen(means: Iterable[tuple[float, float]], unseen: Iterable[bool]) -> SeenAndUnseen:
    """J and F of seen and unseen categories.

    means   of each object: mean J and mean F
    unseen  of each object: whether its category is one that training lacks

    Source: Xu et al., "YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark", 2018, section 4.
    """
    rows = np.array(list(means), np.float64).reshape(-1, 2)
    new = np.array(list(unseen), np.bool_)
    (region_seen, boundary_seen), (region_unseen, boundary_unseen) = (
        (float(column.mean()) if len(column) else float("nan") for column in rows[which].T) for which in (~new, new)
    )
    return SeenAndUnseen(region_seen, region_unseen, boundary_seen, boundary_unseen)
