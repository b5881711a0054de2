"""What every protocol is, and how answers are made, timed and scored, frame by frame."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, ObjectMasks
from masklet.evaluation.methods import Method
from masklet.evaluation.results import Outcome, Submission
from masklet.formats.base import FrameLike, ObjectLike
from masklet.metrics.calibration import Calibration, calibration
from masklet.metrics.protocols import find_protocol, select
from masklet.metrics.region import Mask
from masklet.metrics.sequence import Measured, ObjectId, join, measure_masks

MEASURES = ("J&F", "J", "J recall", "J decay", "F", "F recall", "F decay")
"""The statistics that DAVIS reports for each object."""


class Procedure(Protocol):
    """A protocol with its options: a frozen dataclass of plain values, which stand in the record of a run.

    name      of the protocol
    measures  what it measures, the main measure first
    """

    @property
    def name(self) -> str: ...

    @property
    def measures(self) -> tuple[str, ...]: ...

    def run(self, clip: Clip, method: Method, submission: Submission) -> Outcome:
        """Ask, score, and hand the masks in. Raises MediaError and FormatError for files that are damaged."""
        ...


@dataclass
class Stopwatch:
    """Adds up the seconds that are spent in its `with` blocks."""

    seconds: float = 0.0
    _began: float = field(default=0.0, repr=False)

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._began


@dataclass(frozen=True, eq=False)
class MaskedFrame:
    """A frame's masks, made."""

    result: FrameLike  # as the method gave it
    numbers: NDArray[np.int32]  # int32 (H, W): each pixel's object, the surest one, 0 where there is none
    masks: Mapping[int, Mask]  # bool (H, W) by object


def answers(results: Iterable[FrameLike], watch: Stopwatch, *, overlapping: bool = False) -> Iterator[MaskedFrame]:
    """The frames with their masks, of which each pixel went to one object unless they are `overlapping`; the watch runs
    only while the method is at work."""
    iterator = iter(results)
    while True:
        with watch:
            result = next(iterator, None)
            numbers = None if result is None else result.index_map()
        if result is None or numbers is None:
            return
        objects = result.objects.items()
        yield MaskedFrame(result, numbers, {int(n): item.mask if overlapping else numbers == n for n, item in objects})


def true_mask(truth: ObjectMasks, number: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W): an object's true mask; empty where it is not annotated."""
    mask = truth.get(number)
    return np.zeros(size, np.bool_) if mask is None else mask


class Scores:
    """The values of one clip, frame after frame; `rules` names the data set by whose rules frames and objects count,
    see `masklet.metrics.protocols`."""

    def __init__(self, rules: str) -> None:
        self.rules = find_protocol(rules)
        self.frames: list[int] = []
        self.parts: list[Measured] = []

    def add(self, frame: int, masks: Mapping[int, Mask], truth: ObjectMasks) -> Measured:
        """The values of one annotated frame, which are noted. Objects without a mask have an empty one."""
        if self.rules.name == "davis2016":
            masks = {1: np.logical_or.reduce(list(masks.values()))} if masks else {}
        self.frames.append(frame)
        ours: dict[ObjectId, Mask] = dict(masks.items())
        theirs: dict[ObjectId, Mask] = dict(truth.items())
        self.parts.append(measure_masks(ours, theirs, self.rules.boundary, truth.void))
        return self.parts[-1]

    def by_object(self) -> dict[int, dict[str, float]]:
        """Object -> measure -> value. Raises EvaluationError if nothing counts."""
        return {
            int(scores.object): dict(zip(MEASURES, scores.summary().values(), strict=True))
            for scores in select(join(self.parts), self.rules)
        }

    def per_frame(self) -> dict[int, float]:
        """Frame -> J&F, the mean over the objects that are in the frame's truth or answer."""
        found = {}
        for frame, part in zip(self.frames, self.parts, strict=True):
            if part.objects:
                found[frame] = float((part.region + part.boundary).mean() / 2)
        return found


class Estimates:
    """A method's estimates of its masks and the true outcomes, gathered frame by frame."""

    def __init__(self) -> None:
        self.ious: list[tuple[float, float]] = []
        self.presence: list[tuple[float, bool]] = []

    def add(self, answer: ObjectLike, iou: float, present: bool) -> None:
        """One mask and its true IoU, which counts where the object is present."""
        self.presence.append((float(answer.presence), present))
        if present:
            self.ious.append((min(max(float(answer.iou), 0.0), 1.0), iou))

    def calibration(self) -> dict[str, Calibration]:
        """The calibration of "IoU" and "presence"; without those that the method does not estimate."""
        pairs = {"IoU": np.array(self.ious), "presence": np.array(self.presence, np.float64)}
        return {name: calibration(found[:, 0], found[:, 1]) for name, found in pairs.items() if len(found)}
