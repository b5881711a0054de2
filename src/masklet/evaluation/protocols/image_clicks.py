"""Pictures: each object by a box or a click, then click after click on what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, ObjectMasks
from masklet.errors import EvaluationError
from masklet.evaluation.annotator import Annotator, Mask, as_prompt, box_prompt
from masklet.evaluation.contenders.base import Contender
from masklet.evaluation.protocols.base import Outcome, Stopwatch
from masklet.evaluation.submission import Submission
from masklet.metrics.clicks import clicks_to_reach
from masklet.metrics.region import region_similarity
from masklet.prompts import Prompt, merge_prompts

SHOWN = (1, 3, 5, 10, 20)
"""Numbers of clicks after which the IoU is told."""

TARGETS = (0.85, 0.9)
"""IoUs to which clicks are counted, if there are so many that it says something."""

ENOUGH = 10
"""So many."""


@dataclass(frozen=True)
class ImageClicks:
    """Every object of every annotated frame, by itself; all objects of a frame are answered together.

    first      a click, or the box around the object; what follows are clicks
    clicks     answers to each object; a box counts as one
    annotator  who clicks; the centre of the largest error is where SAM's and SAM 2's evaluation clicks

    IoU@k is the IoU after k answers; with a box first, after the box and k - 1 clicks. An object that is right is
    clicked on no more. With ten answers or more NoC@85 and NoC@90 count the clicks to these IoUs.
    """

    first: Literal["click", "box"] = "click"
    clicks: int = 5
    annotator: Annotator = field(default_factory=Annotator)
    name: str = "image"

    @property
    def measures(self) -> tuple[str, ...]:
        """The IoU after the last answer comes first."""
        shown = [k for k in SHOWN if k < self.clicks]
        targets = [f"NoC@{round(100 * target)}" for target in TARGETS if self.clicks >= ENOUGH]
        return (f"IoU@{self.clicks}", *(f"IoU@{k}" for k in reversed(shown)), *targets)

    def run(self, clip: Clip, contender: Contender, submission: Submission) -> Outcome:
        """The masks after the last answer are handed in, smaller ones over larger ones."""
        watch, course = Stopwatch(), {}
        values: dict[int, dict[str, float]] = {}
        with clip.open() as source:
            for frame in clip.annotated:
                truth = clip.masks(frame)
                if not known_objects(truth):
                    continue
                ious, masks = self._frame(source.read(frame).image, truth, contender, watch, f"{clip.name}/{frame}")
                submission.write(clip, frame, stacked(masks), masks)
                course[frame] = float(np.mean([row[-1] for row in ious.values()]))
                offset = len(values)
                values |= {offset + place: self._row(row) for place, row in enumerate(ious.values(), start=1)}
        if not values:
            raise EvaluationError(f"no object is marked in {clip.name}; give masks with at least one object")
        return Outcome(values, course, len(course), watch.seconds)

    def _frame(
        self, image: NDArray[np.uint8], truth: ObjectMasks, contender: Contender, watch: Stopwatch, occasion: str
    ) -> tuple[dict[int, list[float]], dict[int, Mask]]:
        """IoU after each answer, and the last mask, by object."""
        wanted = known_objects(truth)
        said: dict[int, Prompt] = {}
        masks: dict[int, Mask] = {}
        ious: dict[int, list[float]] = {number: [] for number in wanted}
        with watch:
            look = contender.look(image)
        for turn in range(self.clicks):
            wrong = set()
            for number, mask in wanted.items():
                new = self._prompt(turn, masks.get(number), mask, truth.void, f"{occasion}/{number}/{turn}")
                if new is not None:
                    said[number] = merge_prompts(said.get(number), new)
                    wrong.add(number)
            with watch:
                answered = dict(zip(wanted, look.answer([said[number] for number in wanted]), strict=True))
            masks |= {number: answered[number] for number in wrong}
            for number, mask in wanted.items():
                ious[number].append(float(region_similarity(masks[number], mask, truth.void)))
        return ious, masks

    def _prompt(
        self, turn: int, predicted: Mask | None, truth: Mask, void: Mask | None, occasion: str
    ) -> Prompt | None:
        if turn == 0 and self.first == "box":
            return box_prompt(truth)
        click = self.annotator.click(predicted, truth, void, occasion=occasion)
        return None if click is None else as_prompt(click)

    def _row(self, ious: list[float]) -> dict[str, float]:
        row = {measure: ious[int(measure[4:]) - 1] for measure in self.measures if measure.startswith("IoU@")}
        for target in TARGETS if self.clicks >= ENOUGH else ():
            row[f"NoC@{round(100 * target)}"] = float(clicks_to_reach(np.array(ious), target))
        return row


def known_objects(truth: ObjectMasks) -> dict[int, Mask]:
    """The objects with a pixel that is not unknown."""
    void = truth.void
    return {n: mask for n, mask in truth.items() if (mask if void is None else mask & ~void).any()}


def stacked(masks: Mapping[int, Mask]) -> NDArray[np.int32]:
    """int32 (H, W): each pixel's object; where masks overlap, the smaller one."""
    numbers = np.zeros(next(iter(masks.values())).shape, np.int32)
    for number, mask in sorted(masks.items(), key=lambda item: -int(item[1].sum())):
        numbers[mask] = number
    return numbers
