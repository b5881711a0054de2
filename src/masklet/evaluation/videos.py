"""Protocols of videos and volumes.

Semi-supervised, and with many objects: each object is prompted once, in the frame in which it enters, and all are
followed without further help. Scored by J and F of each object, or by whether each keeps its identity.

Interactive, with a simulated annotator, as in the SAM 2 paper (Ravi et al., 2024, section 6.1). Offline, the annotator
sees the whole video after each round and corrects the worst frame. Online, there is one pass, which pauses where the
masks have become bad. In both, J&F after each round is measured over all annotated frames.

And the clicks that a tracker saves: correcting what it gets wrong, against segmenting every frame by itself.

Volumes: each object gets one box on its middle slice and is followed in both directions.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, ObjectMasks
from masklet.errors import EvaluationError
from masklet.evaluation.images import stacked
from masklet.evaluation.methods import Method
from masklet.evaluation.protocols import (
    MEASURES,
    Annotator,
    Estimates,
    MaskedFrame,
    Prompting,
    Scores,
    Stopwatch,
    Workspace,
    answers,
    box_prompt,
    check_end,
    objects_of,
)
from masklet.evaluation.run import ClipResult, Submission
from masklet.formats.base import FrameLike, ObjectId, PlainFrame, free_number, object_numbers
from masklet.media.frames import FrameSource, ListedFrames
from masklet.media.volume import VolumeSlices
from masklet.metrics.jf import Mask
from masklet.metrics.sequence import VOID
from masklet.metrics.tracking import TRACKING, tracking_scores
from masklet.metrics.volume import SURFACE_TOLERANCE, dice, surface_distances
from masklet.prompts import Prompt, merge_prompts
from masklet.video.ends import outside


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
            submission.write(clip, frame, answer.numbers, answer.masks, objects_of(clip))
            yield answer
    check_end(clip, frame)


@dataclass(frozen=True)
class SemiSupervised:
    """J and F of every object after the frame in which it is prompted."""

    prompting: Prompting = field(default_factory=Prompting)  # by mask, box or clicks
    rules: str = "davis2017"  # by whose rules frames and objects count; see `masklet.metrics.sequence`
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
            measured = scores.add(frame, answer.masks, clip.masks(frame, answer.result.size))
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
        ours, theirs, indices = [], [], object_numbers(objects_of(clip))
        for answer in follow(clip, method, submission, self.prompting, watch):
            count += 1
            if answer.result.frame in clip.annotations:
                truth = clip.masks(answer.result.frame, answer.result.size)
                scores.add(answer.result.frame, answer.masks, truth)
                ours.append(answer.numbers.astype(np.uint8))
                theirs.append(_index_map(truth, indices))
        values = tracking_scores({clip.name: (np.stack(ours), np.stack(theirs))})
        return ClipResult(clip.name, {0: values}, scores.per_frame(), count, watch.seconds)


def _index_map(truth: ObjectMasks, indices: dict[ObjectId, int]) -> NDArray[np.uint8]:
    """The truth by the numbers of its objects; one that a data set does not say to enter gets a free one."""
    numbers = np.zeros(truth.size, np.uint8)
    for number, mask in truth.items():
        numbers[mask] = indices.setdefault(number, free_number(number, {*indices.values()}))
    if truth.void is not None:
        numbers[truth.void] = VOID
    return numbers


@dataclass(frozen=True)
class Interactive:
    """Rounds of annotation, each of which ends with masks of the whole video. The defaults are those of the SAM 2
    paper, and the IoU of `Online` that of its appendix."""

    rounds: int = 8  # annotated frames, the first one included
    clicks: int = 3  # on each object of such a frame
    annotator: Annotator = field(default_factory=Annotator)  # who clicks
    rules: str = "all"  # by whose rules frames and objects count
    name: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        """J&F as the mean over all rounds first, as the paper reports, then after each round."""
        return ("J&F", *(f"J&F@{turn}" for turn in range(1, self.rounds + 1)), "clicks")

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """The masks after the last round are handed in."""
        with clip.open() as source, method.track(source) as session:
            work = Workspace(clip, session, source.size)
            first = work.begin(Prompting("click", self.clicks, self.annotator))
            rounds = [work.score(self.rules) for _ in self.annotate(work, first)]
            work.hand_in(submission)
        after = [scores.by_object() for scores in rounds]
        after += [after[-1]] * (self.rounds - len(after))
        values: dict[int, Mapping[str, float]] = {}
        for number in after[0]:
            rising = [turn[number]["J&F"] for turn in after]
            each = {f"J&F@{turn}": value for turn, value in enumerate(rising, start=1)}
            values[number] = {"J&F": float(np.mean(rising)), **each, "clicks": work.clicks / len(after[0])}
        return ClipResult(clip.name, values, rounds[-1].per_frame(), work.answered, work.watch.seconds)

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

    good: float = 0.75  # IoU that needs no correction
    name: str = "interactive-online"

    def annotate(self, work: Workspace, first: int) -> Iterator[None]:
        frame = first
        for turn in range(self.rounds):
            if turn:
                later = (n for n in work.clip.annotated if n > frame and n in work.masks)
                if (pause := next((n for n in later if self._bad(work, n)), None)) is None:
                    return
                frame = pause
                self.correct(work, frame, self._bad(work, frame))
            for _ in work.follow(frame):
                pass
            yield

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

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """The masks of the tracker's pass are handed in."""
        with clip.open() as source, method.track(source) as session:
            work = Workspace(clip, session, source.size)
            clicks = self._with_the_tracker(work)
            work.hand_in(submission)
        # by object, for each frame in which it is seen: clicks on it alone, IoU of the pass, and alone
        seen: dict[int, list[tuple[int, float, float]]] = {number: [] for number in objects_of(clip)}
        with clip.open() as source:
            for frame in clip.annotated:
                image, truth = source.read(frame).image, clip.masks(frame, source.size)
                for number, kept in work.ious(frame).items():
                    if number in truth and truth[number].any():
                        with work.watch:
                            still = Still(method, image)
                        alone = Workspace(clip, still, source.size, work.watch)
                        made = alone.correct(frame, number, self.most, self.annotator, self.target)
                        seen[number].append((made, kept, alone.ious(frame)[number]))
        values = {}
        for number, rows in seen.items():
            alone, ours, theirs = np.mean(rows, axis=0).tolist()
            values[number] = {
                "saved": 1 - clicks[number] / sum(made for made, _, _ in rows),
                "clicks": clicks[number] / len(rows),
                "alone": alone,
                "IoU": ours,
                "IoU alone": theirs,
            }
        per_frame = {frame: float(np.mean(list(ious.values()))) for frame in work.masks if (ious := work.ious(frame))}
        return ClipResult(clip.name, values, per_frame, work.answered, work.watch.seconds)

    def _with_the_tracker(self, work: Workspace) -> Counter[int]:
        """One pass, which goes on from every frame that was corrected; clicks by object."""
        clicks: Counter[int] = Counter()
        corrected: set[tuple[int, int]] = set()
        todo = list(objects_of(work.clip).items())
        while todo:
            for number, frame in todo:
                clicks[number] += work.correct(frame, number, self.most, self.annotator, self.target)
            corrected.update(todo)
            start = min(frame for _, frame in todo)
            todo = next((bad for frame in work.follow(start) if (bad := self._bad(work, frame, corrected))), [])
        return clicks

    def _bad(self, work: Workspace, frame: int, corrected: set[tuple[int, int]]) -> list[tuple[int, int]]:
        """Objects and the frame, where a frame is not good enough and not corrected yet."""
        if frame not in work.clip.annotations:
            return []
        ious = work.ious(frame)
        return [(n, frame) for n, iou in ious.items() if iou < self.target and (n, frame) not in corrected]


class Still:
    """A frame by itself, of which one object is asked."""

    def __init__(self, method: Method, image: NDArray[np.uint8]) -> None:
        self._look, self._said = method.look(image), Prompt()

    def prompt(self, frame: int, object: int, prompt: Prompt) -> Mask:
        """Its mask by all prompts so far."""
        self._said = merge_prompts(self._said, prompt)
        return self._look([self._said])[0].mask

    def follow(self, start: int) -> Iterator[FrameLike]:
        raise NotImplementedError


@dataclass(frozen=True)
class Volumes:
    """Dice and normalised surface Dice of every object of a volume.

    The middle slice is the middle one of those on which the object is.
    """

    # how slices are shown: a name, or level and width; None for the percentiles of `VolumeSlices`
    window: str | tuple[float, ...] | None = None
    find_ends: bool = False  # whether slices beyond an object's ends are left out, as `mark_ends` does
    tolerance: float = SURFACE_TOLERANCE  # of surfaces, in millimetres
    name: str = "volumes"
    measures: tuple[str, ...] = ("Dice", "NSD")

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """Every slice is answered and handed in. Raises EvaluationError for what is no volume, or has no object."""
        if not isinstance(clip.video, Path):
            raise EvaluationError(f"{clip.name} is no volume; give --dataset volumes")
        source, watch = VolumeSlices(clip.video, window=self.window), Stopwatch()
        truth = {n: np.zeros((len(source), *source.size), np.bool_) for n in objects_of(clip)}
        for frame in clip.annotated:
            for number, mask in clip.masks(frame).items():
                truth[number][frame] = mask
        slices = {number: np.flatnonzero(mask.any(axis=(1, 2))) for number, mask in truth.items()}
        middle = {number: int(there[(len(there) - 1) // 2]) for number, there in slices.items()}
        boxes = {number: box_prompt(truth[number][k]) for number, k in middle.items()}
        found = {number: np.zeros_like(mask) for number, mask in truth.items()}
        iou = {number: np.zeros(len(source)) for number in truth}
        last = len(source) - 1
        for back, way in ((True, Turned(source)), (False, source)):
            prompts = {number: (last - k if back else k, boxes[number]) for number, k in middle.items()}
            for answer in follow_slices(way, method, prompts, watch):
                frame = last - answer.result.frame if back else answer.result.frame
                for number, mask in answer.masks.items():
                    if (frame <= middle[number]) if back else (frame >= middle[number]):
                        found[number][frame], iou[number][frame] = mask, answer.result.objects[number].iou
        if self.find_ends:
            leave_out_ends(found, iou, middle, source)
        for frame in range(len(source)):
            masks = {number: mask[frame] for number, mask in found.items()}
            submission.write(clip, frame, stacked(masks), masks)
        axis, shown = source.geometry.axis, source.geometry.shown
        spacing = [source.geometry.spacing[one] for one in (axis, shown[1], shown[0])]
        values = {}
        for number, mask in truth.items():
            apart = surface_distances(found[number], mask, spacing, tolerance=self.tolerance)
            values[number] = {"Dice": dice(found[number], mask), "NSD": apart.nsd}
        per_frame = {
            frame: float(np.mean([dice(found[n][frame], mask[frame]) for n, mask in truth.items()]))
            for frame in range(len(source))
        }
        return ClipResult(clip.name, values, per_frame, len(source), watch.seconds)


def follow_slices(
    source: FrameSource, method: Method, prompts: Mapping[int, tuple[int, Prompt]], watch: Stopwatch
) -> list[MaskedFrame]:
    """The slices from the first prompt on."""
    with method.track(source) as session:
        for number, (frame, prompt) in prompts.items():
            with watch:
                session.prompt(frame, number, prompt)
        return list(answers(session.follow(min(frame for frame, _ in prompts.values())), watch))


def leave_out_ends(
    found: Mapping[int, Mask], iou: Mapping[int, NDArray[np.float64]], middle: Mapping[int, int], source: VolumeSlices
) -> None:
    """Empty the masks (T, H, W) of slices beyond an object's ends."""
    for number, masks in found.items():

        def inside(frame: int, masks: Mask = masks) -> NDArray[np.float32]:
            return source.values(frame)[masks[frame]]

        for first, last in list(outside([middle[number]], range(len(source)), inside, iou[number].__getitem__)):
            masks[first : last + 1] = False


class Turned(ListedFrames):
    """The slices in the other order."""

    def __init__(self, source: VolumeSlices) -> None:
        self._source = source
        super().__init__(len(source), None)

    def _image(self, frame: int) -> NDArray[np.uint8]:
        return self._source.read(len(self) - 1 - frame).image

    def _name(self, frame: int) -> str:
        return f"slice {len(self) - 1 - frame}"
