"""Telling each object once, in the frame in which it enters, and following all of them without further help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, ObjectMasks
from masklet.errors import EvaluationError
from masklet.evaluation.annotator import Annotator, Mask, box_prompt
from masklet.evaluation.contenders.base import Contender, Session
from masklet.evaluation.protocols.base import Stopwatch, answers
from masklet.evaluation.submission import Submission
from masklet.prompts import Prompt, make_prompt


@dataclass(frozen=True)
class Telling:
    """How an object is told.

    prompt     its true mask, the box around it, or clicks
    clicks     how many, each on the largest error of the answer so far
    annotator  who clicks
    """

    prompt: Literal["mask", "box", "click"] = "mask"
    clicks: int = 1
    annotator: Annotator = field(default_factory=Annotator)

    def tell(self, session: Session, clip: Clip, frame: int, number: int, watch: Stopwatch) -> int:
        """Tell of one object in a frame in which it is seen; the number of clicks."""
        truth = clip.masks(frame)
        mask = truth[number]

        def ask(prompt: Prompt) -> Mask:
            with watch:
                return session.prompt(frame, number, prompt)

        if self.prompt == "click":
            occasion = f"{clip.name}/{number}/{frame}"
            return self.annotator.clicks(self.clicks, ask, None, mask, truth.void, occasion=occasion)[0]
        ask(box_prompt(mask) if self.prompt == "box" else make_prompt(mask.shape, mask=mask))
        return 0


@dataclass(frozen=True, eq=False)
class Followed:
    """One frame of a clip.

    frame    its number
    numbers  int32 (H, W): each pixel's object, 0 where there is none
    masks    by object, as they are handed in: they overlap only where the data set allows it
    truth    None where the frame is not annotated
    """

    frame: int
    numbers: NDArray[np.int32]
    masks: Mapping[int, Mask]
    truth: ObjectMasks | None


def follow_told(
    clip: Clip, contender: Contender, submission: Submission, telling: Telling, watch: Stopwatch
) -> Iterator[Followed]:
    """All frames, handed in as they come; before the first object enters they are empty.

    Raises EvaluationError for a clip without any object, and for one with fewer frames than its masks say.
    """
    entering = objects_of(clip)
    with clip.open() as source, contender.track(source) as session:
        for number, frame in entering.items():
            telling.tell(session, clip, frame, number, watch)
        frame = first = min(entering.values())
        for empty in range(first):
            yield handed_in(clip, empty, np.zeros(source.size, np.int32), {}, submission)
        for answer in answers(session.follow(first), watch):
            frame = answer.result.frame
            whole = submission.layout == "objects"
            masks = {int(n): item.mask if whole else answer.mask(int(n)) for n, item in answer.result.objects.items()}
            yield handed_in(clip, frame, answer.numbers, masks, submission)
    if frame < (last := clip.annotated[-1]):
        raise EvaluationError(f"{clip.name} has {frame + 1} frames, and masks up to frame {last}; complete its frames")


def objects_of(clip: Clip) -> Mapping[int, int]:
    """Object -> the frame in which it enters. Raises EvaluationError if there is none."""
    if not (entering := clip.entering):
        raise EvaluationError(f"no object is marked in {clip.name}; give masks with at least one object")
    return entering


def handed_in(
    clip: Clip, frame: int, numbers: NDArray[np.int32], masks: Mapping[int, Mask], submission: Submission
) -> Followed:
    """Write a frame, and put its truth beside it."""
    submission.write(clip, frame, numbers, masks)
    truth = clip.masks(frame) if frame in clip.annotated else None
    return Followed(frame, numbers, masks, truth)
