"""What protocols share: how the simulated annotator clicks, objects are prompted, and answers timed and scored."""

import math
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, ObjectMasks
from masklet.errors import EvaluationError
from masklet.evaluation.methods import MethodSession
from masklet.evaluation.run import Submission
from masklet.formats.base import FrameLike, ObjectLike
from masklet.masks.shape import central_click, mask_box, random_click
from masklet.metrics.calibration import Calibration, calibration
from masklet.metrics.jf import Mask, region_similarity
from masklet.metrics.sequence import Measured, find_protocol, join_measures, measure_masks, select
from masklet.prompts import Prompt, make_prompt


@dataclass(frozen=True)
class Annotator:
    """Where it clicks is the same for the same seed, clip, object, frame and number of the click."""

    # "centre": the centre of the largest error, with no chance in it; "random": any wrong pixel
    manner: Literal["centre", "random"] = "centre"
    seed: int = 0  # of what is drawn

    def click(
        self, predicted: Mask | None, truth: Mask, void: Mask | None = None, *, occasion: str = ""
    ) -> Prompt | None:
        """A click on an error, or None if there is none; `predicted` is None before the first answer.

        Unknown pixels are never clicked. The occasion names clip, object, frame and number of the click.
        """
        if void is not None:
            truth = truth & ~void
            predicted = None if predicted is None else predicted & ~void
        if self.manner == "centre":
            click = central_click(predicted, truth)
        else:
            chance = np.random.default_rng((self.seed, zlib.crc32(occasion.encode())))
            click = random_click(predicted, truth, chance)
        return None if click is None else Prompt(points=((float(click.x), float(click.y)),), labels=(click.label,))

    def clicks(
        self,
        count: int,
        ask: Callable[[Prompt], Mask],
        predicted: Mask | None,
        truth: Mask,
        void: Mask | None = None,
        *,
        occasion: str = "",
        good: float = math.inf,
    ) -> tuple[int, Mask | None]:
        """Click up to so many times, each time looking at the new answer, until that has an IoU of `good`: clicks made,
        and the last answer."""
        for made in range(count):
            if predicted is not None and math.isfinite(good) and region_similarity(predicted, truth, void) >= good:
                return made, predicted
            click = self.click(predicted, truth, void, occasion=f"{occasion}/{made}")
            if click is None:
                return made, predicted
            predicted = ask(click)
        return count, predicted


def box_prompt(mask: Mask) -> Prompt:
    """The smallest box around a mask that is not empty."""
    x0, y0, x1, y1 = (float(edge) for edge in mask_box(mask))
    return Prompt(box=(x0, y0, x1, y1))


MEASURES = ("J&F", "J", "J recall", "J decay", "F", "F recall", "F decay")
"""The statistics that DAVIS reports for each object."""


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
    numbers: NDArray[np.int32]  # int32 (H, W): each pixel's object by its index, the surest one, 0 where there is none
    masks: Mapping[int, Mask]  # bool (H, W) by object


def answers(results: Iterable[FrameLike], watch: Stopwatch, *, overlapping: bool = False) -> Iterator[MaskedFrame]:
    """The frames with their masks, of which each pixel went to one object unless they are `overlapping`; the watch runs
    only while the method is at work."""
    iterator = iter(results)
    while True:
        with watch:
            if (result := next(iterator, None)) is None:
                return
            numbers = result.index_map()
        objects, indices = result.objects.items(), result.indices
        masks = {int(n): item.mask if overlapping else numbers == indices[n] for n, item in objects}
        yield MaskedFrame(result, numbers, masks)


def true_mask(truth: ObjectMasks, number: int) -> NDArray[np.bool_]:
    """bool (H, W): an object's true mask; empty where it is not annotated."""
    mask = truth.get(number)
    return np.zeros(truth.size, np.bool_) if mask is None else mask


class Scores:
    """The values of one clip, frame after frame; `rules` names the data set by whose rules frames and objects count,
    see `masklet.metrics.sequence`."""

    def __init__(self, rules: str) -> None:
        self.rules = find_protocol(rules)
        self.parts: dict[int, Measured] = {}  # by frame

    def add(self, frame: int, masks: Mapping[int, Mask], truth: ObjectMasks) -> Measured:
        """The values of one annotated frame, which are noted. Objects without a mask have an empty one."""
        if self.rules.one_object:
            masks = {1: np.logical_or.reduce(list(masks.values()))} if masks else {}
        self.parts[frame] = measure_masks(masks, truth, self.rules.boundary, truth.void)
        return self.parts[frame]

    def by_object(self) -> dict[int, dict[str, float]]:
        """Object -> measure -> value. Raises EvaluationError if nothing counts."""
        return {
            int(scores.object): dict(zip(MEASURES, scores.summary().values(), strict=True))
            for scores in select(join_measures([*self.parts.values()]), self.rules)
        }

    def per_frame(self) -> dict[int, float]:
        """Frame -> J&F, the mean over the objects that are in the frame's truth or answer."""
        parts = self.parts.items()
        return {frame: float((part.region + part.boundary).mean() / 2) for frame, part in parts if part.objects}


@dataclass(frozen=True)
class Prompting:
    """How an object is prompted."""

    prompt: Literal["mask", "box", "click"] = "mask"  # its true mask, the box around it, or clicks
    clicks: int = 1  # how many, each on the largest error of the answer so far
    annotator: Annotator = field(default_factory=Annotator)  # who clicks


@dataclass
class Workspace:
    """One clip under annotation."""

    clip: Clip
    session: MethodSession
    size: tuple[int, int]  # (height, width)
    watch: Stopwatch = field(default_factory=Stopwatch)  # runs while the method is at work
    # frame -> object -> the newest mask, of annotated frames
    masks: dict[int, dict[int, Mask]] = field(default_factory=dict)
    answered: int = 0  # frames that were answered
    last: int = -1  # the last frame that was answered; a method may end where a correction changes nothing more
    clicks: int = 0  # that were made

    def begin(self, prompting: Prompting) -> int:
        """Prompt every object where it enters; the first of these frames. Raises EvaluationError for one that is not
        there, by its masks."""
        entering = objects_of(self.clip)
        for number, frame in entering.items():
            mask = true_mask(self.clip.masks(frame, self.size), number)
            if not mask.any():
                raise EvaluationError(
                    f"object {number} of {self.clip.name} enters in frame {frame}, where it has no mask; add the mask"
                )
            if prompting.prompt == "click":
                self.correct(frame, number, prompting.clicks, prompting.annotator)
            else:
                prompt = box_prompt(mask) if prompting.prompt == "box" else make_prompt(self.size, mask=mask)
                self.ask(frame, number, prompt)
        return min(entering.values())

    def follow(self, start: int) -> Iterator[int]:
        """Every frame from there on; the masks of annotated ones are noted. Raises EvaluationError as `check_end`."""
        for answer in answers(self.session.follow(start), self.watch):
            frame = answer.result.frame
            self.answered, self.last = self.answered + 1, max(self.last, frame)
            if frame in self.clip.annotated:
                self.masks[frame] = dict(answer.masks)
            yield frame
        check_end(self.clip, self.last)

    def ious(self, frame: int) -> dict[int, float]:
        """IoU of every object that has entered, in an annotated frame."""
        truth, masks = self.clip.masks(frame, self.size), self.masks.get(frame, {})
        nothing = np.zeros(self.size, np.bool_)
        return {
            n: float(region_similarity(masks.get(n, nothing), true_mask(truth, n), truth.void))
            for n, first in objects_of(self.clip).items()
            if first <= frame
        }

    def correct(self, frame: int, number: int, clicks: int, annotator: Annotator, good: float = math.inf) -> int:
        """Click on an object's errors in a frame, until it has an IoU of `good`; the number of clicks."""
        truth = self.clip.masks(frame, self.size)
        target = true_mask(truth, number)
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
            scores.add(frame, self.masks.get(frame, {}), self.clip.masks(frame, self.size))
        return scores

    def hand_in(self, submission: Submission) -> None:
        """Write the newest masks of all annotated frames."""
        for frame in self.clip.annotated:
            masks = self.masks.get(frame, {})
            numbers = np.zeros(self.size, np.int32)
            for number, mask in masks.items():
                numbers[mask] = number
            submission.write(self.clip, frame, numbers, masks, objects_of(self.clip))


def check_end(clip: Clip, frame: int) -> None:
    """Raises EvaluationError for a clip whose last frame is this one, and whose masks go on."""
    if frame < (last := clip.annotated[-1]):
        raise EvaluationError(f"{clip.name} has {frame + 1} frames, and masks up to frame {last}; complete its frames")


def objects_of(clip: Clip) -> Mapping[int, int]:
    """Object -> the frame in which it enters. Raises EvaluationError if there is none."""
    if not (entering := clip.entering):
        raise EvaluationError(f"no object is marked in {clip.name}; give masks with at least one object")
    return entering


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
