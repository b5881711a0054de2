"""Interactive video segmentation with a simulated annotator, as in the SAM 2 paper (Ravi et al., 2024, section 6.1).

Offline, the annotator sees the whole video after each round and corrects the worst frame. Online, there is one pass,
which pauses where the masks have become bad. In both, J&F after each round is measured over all annotated frames.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from masklet.datasets.base import Clip
from masklet.evaluation.annotator import Annotator
from masklet.evaluation.methods import Method, Session
from masklet.evaluation.protocols.base import Scores, Stopwatch, answers, true_mask
from masklet.evaluation.protocols.vos import Prompting, objects_of
from masklet.evaluation.results import Outcome, Submission
from masklet.metrics.region import Mask, region_similarity
from masklet.prompts import Prompt

ROUNDS = 8
"""Frames that are annotated, the first one included (SAM 2 paper)."""

CLICKS = 3
"""Clicks on each object of such a frame (SAM 2 paper)."""

TARGET = 0.75
"""Online: a frame in which an object's IoU is below this is corrected (SAM 2 paper, appendix)."""


@dataclass
class Workspace:
    """One clip under annotation."""

    clip: Clip
    session: Session
    size: tuple[int, int]  # (height, width)
    watch: Stopwatch = field(default_factory=Stopwatch)  # runs while the method is at work
    # frame -> object -> the newest mask, of annotated frames
    masks: dict[int, dict[int, Mask]] = field(default_factory=dict)
    answered: int = 0  # frames that were answered
    clicks: int = 0  # that were made

    def begin(self, prompting: Prompting) -> int:
        """Prompt every object where it enters; the first of these frames."""
        entering = objects_of(self.clip)
        for number, frame in entering.items():
            self.clicks += prompting.give(self.session, self.clip, frame, number, self.watch)
        return min(entering.values())

    def follow(self, start: int) -> Iterator[int]:
        """Every frame from there on; the masks of annotated ones are noted."""
        for answer in answers(self.session.follow(start), self.watch):
            self.answered += 1
            if answer.result.frame in self.clip.annotated:
                self.masks[answer.result.frame] = dict(answer.masks)
            yield answer.result.frame

    def ious(self, frame: int) -> dict[int, float]:
        """IoU of every object that has entered, in an annotated frame."""
        truth, masks = self.clip.masks(frame), self.masks.get(frame, {})
        nothing = np.zeros(self.size, np.bool_)
        return {
            n: float(region_similarity(masks.get(n, nothing), true_mask(truth, n, self.size), truth.void))
            for n, first in objects_of(self.clip).items()
            if first <= frame
        }

    def correct(self, frame: int, number: int, clicks: int, annotator: Annotator, good: float = math.inf) -> int:
        """Click on an object's errors in a frame, until it has an IoU of `good`; the number of clicks."""
        truth = self.clip.masks(frame)
        target = true_mask(truth, number, self.size)
        occasion = f"{self.clip.name}/{number}/{frame}"
        ask, known = partial(self.ask, frame, number), self.masks.get(frame, {}).get(number)
        made, _ = annotator.clicks(clicks, ask, known, target, truth.void, occasion=occasion, good=good)
        self.clicks += made
        return made

    def ask(self, frame: int, number: int, prompt: Prompt) -> Mask:
        """Prompt an object in a frame, and keep the answer."""
        with self.watch:
            mask = self.session.prompt(frame, number, prompt)
        self.masks.setdefault(frame, {})[number] = mask
        return mask

    def score(self, rules: str) -> Scores:
        """J and F of the newest masks in all annotated frames."""
        scores = Scores(rules)
        for frame in self.clip.annotated:
            scores.add(frame, self.masks.get(frame, {}), self.clip.masks(frame))
        return scores


@dataclass(frozen=True)
class Interactive:
    """Rounds of annotation, each of which ends with masks of the whole video."""

    rounds: int = ROUNDS  # annotated frames, the first one included
    clicks: int = CLICKS  # on each object of such a frame
    annotator: Annotator = field(default_factory=Annotator)  # who clicks
    rules: str = "all"  # by whose rules frames and objects count
    name: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        """J&F as the mean over all rounds first, as the paper reports, then after each round."""
        return ("J&F", *(f"J&F@{turn}" for turn in range(1, self.rounds + 1)), "clicks")

    def run(self, clip: Clip, method: Method, submission: Submission) -> Outcome:
        """The masks after the last round are handed in."""
        with clip.open() as source, method.track(source) as session:
            work = Workspace(clip, session, source.size)
            first = work.begin(Prompting("click", self.clicks, self.annotator))
            rounds = [work.score(self.rules) for _ in self.annotate(work, first)]
            hand_in(work, submission)
        return outcome(work, rounds + [rounds[-1]] * (self.rounds - len(rounds)))

    def annotate(self, work: Workspace, first: int) -> Iterator[None]:
        """Work through the rounds, from the first prompted frame on; pauses where one is done."""
        raise NotImplementedError

    def correct(self, work: Workspace, frame: int, objects: Iterable[int]) -> None:
        """Click on objects' errors in a frame."""
        for number in objects:
            work.correct(frame, number, self.clicks, self.annotator)


@dataclass(frozen=True)
class Offline(Interactive):
    """Several rounds over the whole video; each corrects the frame with the lowest mean IoU that was not yet
    corrected."""

    name: str = "interactive-offline"

    def annotate(self, work: Workspace, first: int) -> Iterator[None]:
        corrected = set(objects_of(work.clip).values())
        for turn in range(self.rounds):
            if turn and (worst := worst_frame(work, corrected)) is not None:
                corrected.add(worst)
                self.correct(work, worst, work.ious(worst))
            for _ in work.follow(first):
                pass
            yield


@dataclass(frozen=True)
class Online(Interactive):
    """One pass: it pauses at a frame in which an object's IoU is below `good`, and such objects are clicked on there.

    rounds  pauses at most, the first frame included; after them the pass runs to the end

    J&F after k rounds is that of a pass that is allowed k rounds: the passes share all that comes before the pause.
    """

    good: float = TARGET  # IoU that needs no correction
    name: str = "interactive-online"

    def annotate(self, work: Workspace, first: int) -> Iterator[None]:
        frame = first
        for _ in range(self.rounds):
            pause = self._follow_to_the_end(work, frame)
            yield
            if pause is None:
                return
            frame = pause
            self.correct(work, frame, self._bad(work, frame))

    def _follow_to_the_end(self, work: Workspace, start: int) -> int | None:
        """The first frame after `start` that is bad; the pass goes on to the end, to be scored."""
        found = None
        for frame in work.follow(start):
            if found is None and frame > start and frame in work.clip.annotated and self._bad(work, frame):
                found = frame
        return found

    def _bad(self, work: Workspace, frame: int) -> list[int]:
        return [number for number, iou in work.ious(frame).items() if iou < self.good]


def worst_frame(work: Workspace, corrected: set[int]) -> int | None:
    """The annotated frame with the lowest mean IoU that was not corrected; None if all are right or corrected."""
    means = {
        frame: float(np.mean(list(ious.values())))
        for frame in work.clip.annotated
        if frame not in corrected and (ious := work.ious(frame))
    }
    worst = min(means, key=lambda frame: means[frame], default=None)
    return None if worst is None or means[worst] == 1 else worst


def outcome(work: Workspace, rounds: list[Scores]) -> Outcome:
    """Values by object, over all rounds."""
    after = [scores.by_object() for scores in rounds]
    values: dict[int, Mapping[str, float]] = {}
    for number in after[0]:
        rising = [turn[number]["J&F"] for turn in after]
        each = {f"J&F@{turn}": value for turn, value in enumerate(rising, start=1)}
        values[number] = {"J&F": float(np.mean(rising)), **each, "clicks": work.clicks / len(after[0])}
    return Outcome(values, rounds[-1].per_frame(), work.answered, work.watch.seconds)


def hand_in(work: Workspace, submission: Submission) -> None:
    for frame in work.clip.annotated:
        masks = work.masks.get(frame, {})
        numbers = np.zeros(work.size, np.int32)
        for number, mask in masks.items():
            numbers[mask] = number
        submission.write(work.clip, frame, numbers, masks)
