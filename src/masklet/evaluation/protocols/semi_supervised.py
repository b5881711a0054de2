"""Semi-supervised video object segmentation: J and F of objects that were told once."""

from __future__ import annotations

from dataclasses import dataclass, field

from masklet.datasets.base import Clip
from masklet.evaluation.contenders.base import Contender
from masklet.evaluation.protocols.base import Outcome, Stopwatch
from masklet.evaluation.protocols.scoring import MEASURES, Scores
from masklet.evaluation.protocols.telling import Telling, follow_told
from masklet.evaluation.submission import Submission


@dataclass(frozen=True)
class SemiSupervised:
    """Every object is told in the frame in which it enters; what comes after is scored.

    telling  by mask, box or clicks
    rules    by whose rules frames and objects count; see `masklet.metrics.protocols`
    """

    telling: Telling = field(default_factory=Telling)
    rules: str = "davis2017"
    name: str = "semi-supervised"
    measures: tuple[str, ...] = MEASURES

    def run(self, clip: Clip, contender: Contender, submission: Submission) -> Outcome:
        """Every frame is answered and handed in; annotated ones are scored, if there are more than those told."""
        scores, watch, count = Scores(self.rules), Stopwatch(), 0
        for followed in follow_told(clip, contender, submission, self.telling, watch):
            count += 1
            if followed.truth is not None:
                scores.add(followed.frame, followed.masks, followed.truth)
        beyond = set(clip.annotated) - set(clip.entering.values())
        return Outcome(scores.by_object() if beyond else {}, scores.course(), count, watch.seconds)
