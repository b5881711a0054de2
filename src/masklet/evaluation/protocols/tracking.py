"""Multi-object tracking: whether objects are found, and told from each other, all along."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from masklet.datasets.base import Clip, ObjectMasks
from masklet.evaluation.contenders.base import Contender
from masklet.evaluation.protocols.base import Outcome, Stopwatch
from masklet.evaluation.protocols.scoring import Scores
from masklet.evaluation.protocols.telling import Telling, follow_told
from masklet.evaluation.submission import Submission
from masklet.metrics.sequence import VOID
from masklet.metrics.tracking import tracking_scores

MEASURES = {
    "HOTA": "hota",
    "DetA": "detection",
    "AssA": "association",
    "MOTA": "mota",
    "IDF1": "idf1",
    "switches": "switches",
}
"""Measure -> field of `masklet.metrics.tracking.Tracking`."""


@dataclass(frozen=True)
class MultiObject:
    """Objects are told by their boxes when they enter; every annotated frame of a clip is scored, as one whole.

    telling  by mask, box or clicks
    """

    telling: Telling = field(default_factory=lambda: Telling("box"))
    name: str = "tracking"
    measures: tuple[str, ...] = tuple(MEASURES)

    def run(self, clip: Clip, contender: Contender, submission: Submission) -> Outcome:
        """The values stand under object 0: they are those of the clip. Raises EvaluationError without TrackEval."""
        watch, course, count = Stopwatch(), Scores("all"), 0
        ours, theirs = [], []
        for followed in follow_told(clip, contender, submission, self.telling, watch):
            count += 1
            if followed.truth is not None:
                course.add(followed.frame, followed.masks, followed.truth)
                ours.append(followed.numbers.astype(np.uint8))
                theirs.append(_index_map(followed.truth, followed.numbers.shape))
        found = asdict(tracking_scores({clip.name: (np.stack(ours), np.stack(theirs))}))
        values = {measure: float(found[field]) for measure, field in MEASURES.items()}
        return Outcome({0: values}, course.course(), count, watch.seconds)


def _index_map(truth: ObjectMasks, size: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    indices = np.zeros(size, np.uint8)
    for number, mask in truth.items():
        indices[mask] = number
    if truth.void is not None:
        indices[truth.void] = VOID
    return indices
