"""Clicks that a tracker saves: correcting what it gets wrong, against segmenting every frame by itself."""

from dataclasses import dataclass, field

import numpy as np

from masklet.datasets.base import Clip
from masklet.evaluation.annotator import Annotator
from masklet.evaluation.methods import Look, Method
from masklet.evaluation.protocols.base import true_mask
from masklet.evaluation.protocols.interactive import Workspace, hand_in
from masklet.evaluation.protocols.vos import objects_of
from masklet.evaluation.results import Outcome, Submission
from masklet.media.source import FrameSource
from masklet.metrics.region import Mask, region_similarity
from masklet.prompts import Prompt, merge_prompts


@dataclass
class ObjectClicks:
    """What one object took."""

    clicks: int = 0  # on it in the tracker's pass
    alone: int = 0  # on it in single frames
    # of the pass, and of single frames, in each annotated frame in which it is seen
    ious: list[tuple[float, float]] = field(default_factory=list)

    def values(self) -> dict[str, float]:
        frames = len(self.ious)
        ours, alone = np.mean(self.ious, axis=0)
        return {
            "saved": 1 - self.clicks / self.alone,
            "clicks": self.clicks / frames,
            "alone": self.alone / frames,
            "IoU": float(ours),
            "IoU alone": float(alone),
        }


@dataclass(frozen=True)
class ClicksSaved:
    """Every annotated frame is brought to a target IoU, twice: in one pass of the tracker, and each frame alone.

    "clicks" and "alone" are clicks on an object by annotated frame in which it is seen, "saved" is 1 - clicks / alone.
    """

    target: float = 0.75  # IoU that is good enough
    most: int = 5  # clicks at most on an object in a frame; one that never gets there counts with all of them
    annotator: Annotator = field(default_factory=Annotator)  # who clicks
    name: str = "clicks-saved"
    measures: tuple[str, ...] = ("saved", "clicks", "alone", "IoU", "IoU alone")

    def run(self, clip: Clip, method: Method, submission: Submission) -> Outcome:
        """The masks of the tracker's pass are handed in."""
        tallies = {number: ObjectClicks() for number in objects_of(clip)}
        with clip.open() as source, method.track(source) as session:
            work = Workspace(clip, session, source.size)
            self._with_the_tracker(work, tallies)
            hand_in(work, submission)
        with clip.open() as source:
            for frame in clip.annotated:
                self._alone(work, source, frame, method, tallies)
        values = {number: tally.values() for number, tally in tallies.items()}
        per_frame = {frame: float(np.mean(list(ious.values()))) for frame in work.masks if (ious := work.ious(frame))}
        return Outcome(values, per_frame, work.answered, work.watch.seconds)

    def _with_the_tracker(self, work: Workspace, tallies: dict[int, ObjectClicks]) -> None:
        """One pass, which goes on from every frame that was corrected."""
        corrected: set[tuple[int, int]] = set()
        entering = objects_of(work.clip)
        todo = list(entering.items())
        while todo:
            for number, frame in todo:
                tallies[number].clicks += work.correct(frame, number, self.most, self.annotator, self.target)
                corrected.add((number, frame))
            start = min(frame for _, frame in todo)
            todo = next((bad for frame in work.follow(start) if (bad := self._bad(work, frame, corrected))), [])

    def _bad(self, work: Workspace, frame: int, corrected: set[tuple[int, int]]) -> list[tuple[int, int]]:
        """Objects and the frame, where a frame is not good enough and not corrected yet."""
        if frame not in work.clip.annotated:
            return []
        ious = work.ious(frame)
        return [(n, frame) for n, iou in ious.items() if iou < self.target and (n, frame) not in corrected]

    def _alone(
        self, work: Workspace, source: FrameSource, frame: int, method: Method, tallies: dict[int, ObjectClicks]
    ) -> None:
        """The objects of one frame, each by itself."""
        truth, kept = work.clip.masks(frame), work.ious(frame)
        image = source.read(frame).image
        for number in (number for number in kept if true_mask(truth, number, work.size).any()):
            with work.watch:
                look = method.look(image)
            prompts: list[Prompt] = []

            def ask(prompt: Prompt, look: Look = look, prompts: list[Prompt] = prompts) -> Mask:
                prompts.append(merge_prompts(prompts[-1] if prompts else None, prompt))
                with work.watch:
                    return look(prompts[-1:])[0].mask

            target, occasion = truth[number], f"{work.clip.name}/{number}/{frame}"
            made, mask = self.annotator.clicks(
                self.most, ask, None, target, truth.void, occasion=occasion, good=self.target
            )
            mask = np.zeros_like(target) if mask is None else mask
            tallies[number].alone += made
            tallies[number].ious.append((kept[number], float(region_similarity(mask, target, truth.void))))
