"""What can be measured, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from masklet.errors import EvaluationError, nearest
from masklet.evaluation.contenders.base import Contender
from masklet.evaluation.contenders.carried import Baseline, keep_still
from masklet.evaluation.contenders.flow import carry_by_flow
from masklet.evaluation.contenders.grabcut import recut

BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline("still", "the first mask kept still", keep_still),
        Baseline("flow", "the first mask carried by optical flow (OpenCV DIS, medium)", carry_by_flow),
        Baseline("grabcut", "GrabCut from the box, in each frame from the box of the mask before", recut),
    )
}
"""To add a baseline, write its carry function and add a line here."""


@dataclass(frozen=True)
class Choice:
    """What is to be measured: a baseline, or else a model; plain data, so that other processes can load it.

    model     name or file
    baseline  a name of `BASELINES`, or None
    device    where a model runs; None for the best there is
    """

    model: str = "nano"
    baseline: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.baseline is not None and self.baseline not in BASELINES:
            known = ", ".join(BASELINES)
            hint = nearest(self.baseline, BASELINES)
            raise EvaluationError(f"unknown baseline {self.baseline!r}{hint}; there are {known}")


@cache
def contender(choice: Choice) -> Contender:
    """The contender, loaded once in each process. Raises CheckpointError if it is a model that cannot be loaded."""
    if choice.baseline is not None:
        return BASELINES[choice.baseline]
    from masklet.evaluation.contenders.model import ModelContender  # imports torch, which baselines do without

    return ModelContender(choice.model, choice.device)
