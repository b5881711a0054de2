"""J and F of answers against the truth, gathered frame by frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from masklet.datasets.base import ObjectMasks
from masklet.metrics.protocols import find_protocol, select
from masklet.metrics.region import Mask
from masklet.metrics.sequence import Measured, ObjectId, join, measure_masks
from masklet.metrics.summary import RegionAndBoundary

MEASURES = ("J&F", "J", "J recall", "J decay", "F", "F recall", "F decay")
"""What DAVIS reports of each object."""


class Scores:
    """The values of one clip, frame after frame.

    Args:
        rules: Name of the data set by whose rules frames and objects count; see `masklet.metrics.protocols`.
    """

    def __init__(self, rules: str) -> None:
        self.rules = find_protocol(rules)
        self.frames: list[int] = []
        self.parts: list[Measured] = []

    def add(self, frame: int, masks: Mapping[int, Mask], truth: ObjectMasks) -> None:
        """One annotated frame. Objects without a mask have an empty one."""
        if self.rules.name == "davis2016":
            masks = {1: np.logical_or.reduce(list(masks.values()))} if masks else {}
        self.frames.append(frame)
        ours: dict[ObjectId, Mask] = dict(masks.items())
        theirs: dict[ObjectId, Mask] = dict(truth.items())
        self.parts.append(measure_masks(ours, theirs, self.rules.boundary, truth.void))

    def by_object(self) -> dict[int, dict[str, float]]:
        """Object -> measure -> value. Raises EvaluationError if nothing counts."""
        return {int(scores.object): _row(scores.summary()) for scores in select(join(self.parts), self.rules)}

    def course(self) -> dict[int, float]:
        """Frame -> J&F, the mean over the objects that are in the frame's truth or answer."""
        found = {}
        for frame, part in zip(self.frames, self.parts, strict=True):
            if part.objects:
                found[frame] = float((part.region + part.boundary).mean() / 2)
        return found


def _row(summary: RegionAndBoundary) -> dict[str, float]:
    region, boundary = summary.region, summary.boundary
    values = (summary.mean, region.mean, region.recall, region.decay, boundary.mean, boundary.recall, boundary.decay)
    return dict(zip(MEASURES, values, strict=True))
