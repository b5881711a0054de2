"""Pictures: masks of everything, to which nobody pointed, against the annotated objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from masklet.datasets.base import Clip
from masklet.errors import EvaluationError
from masklet.evaluation.annotator import Mask
from masklet.evaluation.contenders.base import Contender, Finder
from masklet.evaluation.protocols.base import Outcome, Stopwatch
from masklet.evaluation.protocols.image_clicks import known_objects, stacked
from masklet.evaluation.submission import Submission
from masklet.image import EverythingOptions, MaskSet
from masklet.masks.patch import Patch, cut_patch, within
from masklet.metrics.recall import iou_table, recalled

FEW, MANY = 100, 1000
"""Masks that count in a picture: COCO's usual number, and that of the SAM paper on LVIS."""

HALF, THREE_QUARTERS = 0, 5
"""Places of the IoUs 0.5 and 0.75 among COCO's."""

MEASURES = ("IoU", "R@50", "R@75", f"AR@{FEW}", f"AR@{MANY}")
"""Of each object."""


@dataclass(frozen=True)
class Everything:
    """Zero-shot masks of everything in each annotated picture. What is found and not annotated costs nothing.

    options  how everything is looked for

    IoU is that of the best mask of each object, whatever else was found. R@50 and R@75 are the shares of
    objects that have a mask of their own at IoU 0.5 and 0.75 among the 1000 surest masks; AR@100 and AR@1000
    are COCO's average recall over the IoUs 0.5, 0.55, ... 0.95. AP is not told, as it takes every mask of what nobody
    annotated, such as a part of an object, for a false one. Unknown pixels, and crowds, are taken out of all masks.

    Source: zero-shot object proposals of Kirillov et al., "Segment Anything", ICCV 2023, section 7.3, and what
    `masklet.metrics.recall` cites.
    """

    options: EverythingOptions = field(default_factory=EverythingOptions)
    name: str = "everything"
    measures: tuple[str, ...] = MEASURES

    def run(self, clip: Clip, contender: Contender, submission: Submission) -> Outcome:
        """The best mask of each object is handed in under the object's number, smaller ones over larger ones; beside it
        all that was found, as COCO JSON. Raises EvaluationError for a contender that has to be told of objects."""
        if not isinstance(contender, Finder):
            raise EvaluationError(f"{contender.name} has to be told of objects and finds none by itself; give a model")
        watch, course, count = Stopwatch(), {}, 0
        values: dict[int, dict[str, float]] = {}
        with clip.open() as source:
            for frame in clip.annotated:
                truth = clip.masks(frame)
                if not (wanted := known_objects(truth)):
                    continue
                image = source.read(frame).image
                with watch:
                    found = contender.everything(image, self.options)
                match = matched(found, wanted, truth.void, clip.name)
                hand_in(clip, frame, found, match, submission)
                course[frame] = float(np.mean([row["IoU"] for row in match.rows.values()]))
                offset, count = len(values), count + len(found)
                values |= {offset + place: row for place, row in enumerate(match.rows.values(), start=1)}
        if not values:
            raise EvaluationError(f"no object is marked in {clip.name}; give masks with at least one object")
        whole = {"masks/picture": count / len(course), "seconds/picture": watch.seconds / len(course)}
        return Outcome(values, course, len(course), watch.seconds, whole)


@dataclass(frozen=True)
class Match:
    """What was found of a picture's objects.

    rows  object -> measure -> value
    best  object -> place of its best mask; objects that no mask touches are missing
    """

    rows: dict[int, dict[str, float]]
    best: dict[int, int]


def matched(found: MaskSet, wanted: Mapping[int, Mask], void: Mask | None, name: str) -> Match:
    """Found masks beside true ones. Raises EvaluationError, which names the picture, if their sizes differ."""
    size = next(iter(wanted.values())).shape
    if size != found.size:
        raise EvaluationError(f"{name} has {found.size} pixels (height, width) and its masks {size}; give one size")
    parts = [known_part(patch, void) for patch in found.patches]
    places = [place for place, part in enumerate(parts) if part]
    theirs = [cut_patch(mask if void is None else mask & ~void) for mask in wanted.values()]
    ious = iou_table([part for part in parts if part], [patch for patch in theirs if patch])
    few, many = (recalled(ious, found.iou[places], most) for most in (FEW, MANY))
    overlap = ious.max(axis=0, initial=0)
    values = np.stack([overlap, many[HALF], many[THREE_QUARTERS], few.mean(axis=0), many.mean(axis=0)], axis=1)
    rows = {number: dict(zip(MEASURES, row, strict=True)) for number, row in zip(wanted, values.tolist(), strict=True)}
    touched = np.flatnonzero(overlap).tolist()
    numbers = list(wanted)
    return Match(rows, {numbers[column]: places[int(ious[:, column].argmax())] for column in touched})


def hand_in(clip: Clip, frame: int, found: MaskSet, match: Match, submission: Submission) -> None:
    """An index PNG of the best masks, and a JSON of the same name with all."""
    nothing = np.zeros(found.size, np.bool_)
    masks = {number: found[match.best[number]] if number in match.best else nothing for number in match.rows}
    submission.write(clip, frame, stacked(masks), masks)
    found.save(submission.path(clip, frame).with_suffix(".json"), "coco")


def known_part(patch: Patch, void: Mask | None) -> Patch | None:
    """The part of a mask that is not unknown, decoded only in its own box; None if there is none."""
    if void is None:
        return patch
    height, width = void.shape
    return cut_patch(patch.inside & ~void[within(patch.box, (0, 0, width, height))], patch.box[:2])
