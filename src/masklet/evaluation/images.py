"""Pictures: each object by a box or a click, then click after click on what is wrong; and masks of everything, without
prompts, against the annotated objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, ObjectMasks
from masklet.errors import EvaluationError
from masklet.evaluation.methods import Method, Predict
from masklet.evaluation.protocols import Annotator, Estimates, Stopwatch, box_prompt
from masklet.evaluation.run import ClipResult, Submission
from masklet.image import EverythingOptions, MaskSet
from masklet.masks.rle import Patch, cut_patch, slices_within
from masklet.metrics.jf import Mask, region_similarity
from masklet.metrics.recall import iou_table, is_found
from masklet.prompts import Prompt, merge_prompts

CLICK_COUNTS = (1, 3, 5, 10, 20)
"""Numbers of clicks after which the IoU is reported."""

TARGET_IOUS, MIN_CLICKS = (85, 90), 10
"""IoUs, in percent, to which clicks are counted, if there are so many that it says something."""


@dataclass(frozen=True)
class ImageClicks:
    """Every object of every annotated frame, by itself; all objects of a frame are answered together.

    IoU@k is the IoU after k answers; with a box first, after the box and k - 1 clicks. An object that is right is
    clicked on no more. With ten answers or more NoC@85 and NoC@90 count the clicks to these IoUs.
    """

    first: Literal["click", "box"] = "click"  # a click, or the box around the object; what follows are clicks
    clicks: int = 5  # answers to each object; a box counts as one
    # who clicks; the centre of the largest error is where SAM's and SAM 2's evaluation clicks
    annotator: Annotator = field(default_factory=Annotator)
    name: str = "image"

    @property
    def measures(self) -> tuple[str, ...]:
        """The IoU after the last answer comes first."""
        shown = [k for k in CLICK_COUNTS if k < self.clicks]
        targets = [f"NoC@{target}" for target in TARGET_IOUS if self.clicks >= MIN_CLICKS]
        return (f"IoU@{self.clicks}", *(f"IoU@{k}" for k in reversed(shown)), *targets)

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """The masks after the last answer are handed in, smaller ones over larger ones."""
        watch, estimates, per_frame = Stopwatch(), Estimates(), {}
        rows: list[dict[str, float]] = []
        for frame, image, truth in pictures(clip):
            with watch:
                look = method.look(image)
            ious, masks = self._frame(look, truth, watch, estimates, f"{clip.name}/{frame}")
            submission.write(clip, frame, stacked(masks), masks)
            per_frame[frame] = float(np.mean([row[-1] for row in ious.values()]))
            rows += ({measure: _value(measure, row) for measure in self.measures} for row in ious.values())
        found = estimates.calibration() if method.estimates else {}
        values = dict(enumerate(rows, start=1))
        return ClipResult(clip.name, values, per_frame, len(per_frame), watch.seconds, calibration=found)

    def _frame(
        self, look: Predict, truth: ObjectMasks, watch: Stopwatch, estimates: Estimates, occasion: str
    ) -> tuple[dict[int, list[float]], dict[int, Mask]]:
        """IoU after each answer, and the last mask, by object."""
        wanted, void = known_objects(truth), truth.void
        prompts: dict[int, Prompt] = {}
        masks: dict[int, Mask] = {}
        ious: dict[int, list[float]] = {number: [] for number in wanted}
        for turn in range(self.clicks):
            new = {}
            for number, mask in wanted.items():
                if turn == 0 and self.first == "box":
                    new[number] = box_prompt(mask)
                elif click := self.annotator.click(
                    masks.get(number), mask, void, occasion=f"{occasion}/{number}/{turn}"
                ):
                    new[number] = click
            prompts |= {number: merge_prompts(prompts.get(number), prompt) for number, prompt in new.items()}
            with watch:
                answered = dict(zip(wanted, look([prompts[number] for number in wanted]), strict=True))
            masks |= {number: answered[number].mask for number in new}
            for number, mask in wanted.items():
                ious[number].append(float(region_similarity(masks[number], mask, void)))
            for number in new:
                estimates.add(answered[number], ious[number][-1], True)
        return ious, masks


def _value(measure: str, ious: list[float]) -> float:
    """Of a measure such as IoU@3 or NoC@85, from the IoUs after 1, 2, ... K answers."""
    kind, _, number = measure.partition("@")
    return ious[int(number) - 1] if kind == "IoU" else clicks_to_reach(ious, int(number) / 100)


def clicks_to_reach(ious: list[float], target: float) -> float:
    """Clicks until the IoU is first at or above a target, from the IoUs after 1, 2, ... K of them; K if it never is.

    Source: Xu et al., "Deep Interactive Object Selection", CVPR 2016, section 5; K is 20 in most publications.
    """
    return float(next((clicks for clicks, iou in enumerate(ious, start=1) if iou >= target), len(ious)))


def pictures(clip: Clip) -> Iterator[tuple[int, NDArray[np.uint8], ObjectMasks]]:
    """The annotated frames in which an object is known, each with its picture, uint8 (H, W, 3), and its masks.

    Raises EvaluationError if there is none.
    """
    marked = False
    with clip.open() as source:
        for frame in clip.annotated:
            truth = clip.masks(frame, source.size)
            if known_objects(truth):
                marked = True
                yield frame, source.read(frame).image, truth
    if not marked:
        raise EvaluationError(f"no object is marked in {clip.name}; give masks with at least one object")


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


FEW, MANY = 100, 1000
"""Masks that count in a picture: COCO's usual number, and that of the SAM paper on LVIS."""

COVERAGE_MEASURES = ("IoU", "R@50", "R@75", f"AR@{FEW}", f"AR@{MANY}")
"""The measures of each object."""


@dataclass(frozen=True)
class Everything:
    """Zero-shot masks of everything in each annotated picture. What is found and not annotated costs nothing.

    IoU is that of the best mask of each object, whatever else was found. R@50 and R@75 are the shares of
    objects that have a mask of their own at IoU 0.5 and 0.75 among the 1000 surest masks; AR@100 and AR@1000
    are COCO's average recall over the IoUs 0.5, 0.55, ... 0.95. AP is left out, as it takes every mask of what nobody
    annotated, such as a part of an object, for a false one. Unknown pixels, and crowds, are taken out of all masks.

    Source: zero-shot object proposals of Kirillov et al., "Segment Anything", ICCV 2023, section 7.3, and what
    `masklet.metrics.recall` cites.
    """

    options: EverythingOptions = field(default_factory=EverythingOptions)  # how everything is looked for
    name: str = "everything"
    measures: tuple[str, ...] = COVERAGE_MEASURES

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """The best mask of each object is handed in under the object's number, smaller ones over larger ones; beside it
        all that was found, as COCO JSON. Raises EvaluationError for a method that needs prompts."""
        watch, per_frame, count = Stopwatch(), {}, 0
        rows: list[dict[str, float]] = []
        for frame, image, truth in pictures(clip):
            with watch:
                found = method.everything(image, self.options)
            rows_of, best = matched(found, known_objects(truth), truth.void)
            masks = {n: found[best[n]] if n in best else np.zeros(found.size, np.bool_) for n in rows_of}
            submission.write(clip, frame, stacked(masks), masks)
            found.save(submission.path(clip, frame).with_suffix(".json"), "coco")
            per_frame[frame] = float(np.mean([row["IoU"] for row in rows_of.values()]))
            rows += rows_of.values()
            count += len(found)
        metrics = {"masks/picture": count / len(per_frame), "seconds/picture": watch.seconds / len(per_frame)}
        return ClipResult(clip.name, dict(enumerate(rows, start=1)), per_frame, len(per_frame), watch.seconds, metrics)


def matched(
    found: MaskSet, wanted: Mapping[int, Mask], void: Mask | None
) -> tuple[dict[int, dict[str, float]], dict[int, int]]:
    """Object -> measure -> value; and object -> place of its best mask, without objects that no mask touches."""
    parts = [known_part(patch, void) for patch in found.patches]
    places = [place for place, part in enumerate(parts) if part]
    theirs = [cut_patch(mask if void is None else mask & ~void) for mask in wanted.values()]
    ious = iou_table([part for part in parts if part], [patch for patch in theirs if patch])
    few, many = (is_found(ious, found.iou[places], most) for most in (FEW, MANY))
    overlap = ious.max(axis=0, initial=0)
    # the first and the sixth of COCO's IoUs are 0.5 and 0.75
    values = np.stack([overlap, many[0], many[5], few.mean(axis=0), many.mean(axis=0)], axis=1)
    rows = {
        number: dict(zip(COVERAGE_MEASURES, row, strict=True))
        for number, row in zip(wanted, values.tolist(), strict=True)
    }
    touched = np.flatnonzero(overlap).tolist()
    numbers = list(wanted)
    return rows, {numbers[column]: places[int(ious[:, column].argmax())] for column in touched}


def known_part(patch: Patch, void: Mask | None) -> Patch | None:
    """The part of a mask that is not unknown, decoded only in its own box; None if there is none."""
    if void is None:
        return patch
    height, width = void.shape
    return cut_patch(patch.inside & ~void[slices_within(patch.box, (0, 0, width, height))], patch.box[:2])
