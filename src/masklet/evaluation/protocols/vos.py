"""Video object segmentation: each object is prompted once, in the frame in which it enters, and all are followed
without further help. Scored by J and F of each object, or by whether each keeps its identity."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, ObjectMasks
from masklet.errors import EvaluationError
from masklet.evaluation.methods import Method
from masklet.evaluation.protocols.base import (
    MEASURES,
    Estimates,
    MaskedFrame,
    Prompting,
    Scores,
    Stopwatch,
    Workspace,
    answers,
)
from masklet.evaluation.results import ClipResult, Submission
from masklet.formats.base import PlainFrame
from masklet.metrics.sequence import VOID
from masklet.metrics.tracking import TRACKING, tracking_scores


def follow(
    clip: Clip, method: Method, submission: Submission, prompting: Prompting, watch: Stopwatch
) -> Iterator[MaskedFrame]:
    """All frames, handed in as they come; before the first object enters they are empty. Masks overlap only where the
    data set allows it.

    Raises EvaluationError for a clip without any object, and for one with fewer frames than its masks say.
    """
    with clip.open() as source, method.track(source) as session:
        first = Workspace(clip, session, source.size, watch).begin(prompting)
        empty = (PlainFrame(frame, float(frame), source.size, {}, {}) for frame in range(first))
        results = chain(empty, session.follow(first))
        for answer in answers(results, watch, overlapping=submission.layout == "objects"):
            frame = answer.result.frame
            submission.write(clip, frame, answer.numbers, answer.masks)
            yield answer
    if frame < (last := clip.annotated[-1]):
        raise EvaluationError(f"{clip.name} has {frame + 1} frames, and masks up to frame {last}; complete its frames")


@dataclass(frozen=True)
class SemiSupervised:
    """J and F of every object after the frame in which it is prompted."""

    prompting: Prompting = field(default_factory=Prompting)  # by mask, box or clicks
    rules: str = "davis2017"  # by whose rules frames and objects count; see `masklet.metrics.protocols`
    name: str = "semi-supervised"
    measures: tuple[str, ...] = MEASURES

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """Every frame is answered and handed in; annotated ones are scored, if there are more than those prompted."""
        scores, estimates, watch, count = Scores(self.rules), Estimates(), Stopwatch(), 0
        for answer in follow(clip, method, submission, self.prompting, watch):
            frame, objects = answer.result.frame, answer.result.objects
            count += 1
            if frame not in clip.annotations:
                continue
            measured = scores.add(frame, answer.masks, clip.masks(frame))
            for row, number in enumerate(measured.objects):
                if number in objects and frame > clip.entering.get(int(number), -1):
                    iou, present = float(measured.region[row, 0]), bool(measured.truth_area[row, 0])
                    estimates.add(objects[number], iou, present)
        beyond = set(clip.annotated) - set(clip.entering.values())
        values = scores.by_object() if beyond else {}
        found = estimates.calibration() if method.estimates else {}
        return ClipResult(clip.name, values, scores.per_frame(), count, watch.seconds, calibration=found)


@dataclass(frozen=True)
class MultiObject:
    """Multi-object tracking: whether objects are found, and keep their identities; every annotated frame of a clip is
    scored, as one whole."""

    prompting: Prompting = field(default_factory=lambda: Prompting("box"))  # by mask, box or clicks
    name: str = "tracking"
    measures: tuple[str, ...] = TRACKING

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """The values stand under object 0: they are those of the clip. Raises EvaluationError without TrackEval."""
        watch, scores, count = Stopwatch(), Scores("all"), 0
        ours, theirs = [], []
        for answer in follow(clip, method, submission, self.prompting, watch):
            count += 1
            if answer.result.frame in clip.annotations:
                truth = clip.masks(answer.result.frame)
                scores.add(answer.result.frame, answer.masks, truth)
                ours.append(answer.numbers.astype(np.uint8))
                theirs.append(_index_map(truth))
        values = tracking_scores({clip.name: (np.stack(ours), np.stack(theirs))})
        return ClipResult(clip.name, {0: values}, scores.per_frame(), count, watch.seconds)


def _index_map(truth: ObjectMasks) -> NDArray[np.uint8]:
    indices = np.zeros(truth.size, np.uint8)
    for number, mask in truth.items():
        indices[mask] = number
    if truth.void is not None:
        indices[truth.void] = VOID
    return indices
