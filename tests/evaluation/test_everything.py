"""Masks of everything against annotations, with stand-ins whose masks are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from masklet.datasets.base import Clip
from masklet.errors import EvaluationError, FormatError
from masklet.evaluation.images import COVERAGE_MEASURES, Everything
from masklet.evaluation.methods import BASELINES
from masklet.evaluation.report import markdown, sequence_rows
from masklet.evaluation.run import ClipResult, RunResult, Submission
from masklet.formats.davis import read_index_png
from masklet.image import EverythingOptions, MaskSet
from masklet.masks.rle import cut_patch
from tests.evaluation.conftest import SIZE, Make, first_clip, index_map, save_mask

OBJECTS = [index_map(3) == number for number in (1, 2)]
ELSEWHERE = np.zeros(SIZE, np.bool_)
ELSEWHERE[40:46, 50:60] = True
NEVER = {measure: 0.0 for measure in COVERAGE_MEASURES}
ALWAYS = {measure: 1.0 for measure in COVERAGE_MEASURES}


class Stand:
    """A generator that finds these masks, the first the surest."""

    name = "stand-in"
    facts: ClassVar[dict[str, Any]] = {}

    def __init__(self, masks: Sequence[np.ndarray]) -> None:
        self.masks = masks

    def everything(self, image: np.ndarray, options: EverythingOptions) -> MaskSet:
        count = len(self.masks)
        return MaskSet(
            picture_size=image.shape[:2],
            iou=np.linspace(0.9, 0.1, count, dtype=np.float32),
            presence=np.ones(count, np.float32),
            objects=np.arange(count),
            candidates=np.zeros(count, np.int64),
            image=image,
            patches=tuple(patch for mask in self.masks if (patch := cut_patch(mask))),
            stability=np.ones(count, np.float32),
            points=np.zeros((count, 2)),
            crops=np.zeros((count, 4), np.int64),
        )


@pytest.fixture
def clip(make: Make) -> Clip:
    return first_clip("folder", make("folder"), "image")


def test_perfect_masks_are_one_whatever_else_is_found(clip: Clip, submission: Submission) -> None:
    found = Everything().run(clip, Stand([ELSEWHERE, *OBJECTS]), submission)
    assert found.values == {1: ALWAYS, 2: ALWAYS}
    assert found.per_frame == {0: 1}
    assert found.clip_metrics["masks/picture"] == 3
    assert found.clip_metrics["seconds/picture"] == found.seconds


@pytest.mark.parametrize("masks", [[], [ELSEWHERE]], ids=["none", "elsewhere"])
def test_nothing_found_is_nought(clip: Clip, submission: Submission, masks: list[np.ndarray]) -> None:
    found = Everything().run(clip, Stand(masks), submission)
    assert found.values == {1: NEVER, 2: NEVER}
    assert found.clip_metrics["masks/picture"] == len(masks)
    assert not read_index_png(submission.path(clip, 0)).any()


def test_duplicates_do_not_raise_recall(clip: Clip, submission: Submission) -> None:
    once = Everything().run(clip, Stand(OBJECTS[:1]), submission)
    often = Everything().run(clip, Stand(OBJECTS[:1] * 5), submission)
    assert once.values == often.values == {1: ALWAYS, 2: NEVER}


def test_a_loose_mask_counts_up_to_its_iou(clip: Clip, submission: Submission) -> None:
    """Half of object 1 again as much as itself: IoU 2/3, which four of COCO's ten thresholds let pass."""
    loose = OBJECTS[0].copy()
    loose[24:32] = loose[23]
    row = Everything().run(clip, Stand([loose]), submission).values[1]
    assert row["IoU"] == pytest.approx(2 / 3)
    assert (row["R@50"], row["R@75"]) == (1, 0)
    assert row["AR@100"] == row["AR@1000"] == pytest.approx(0.4)


def test_beyond_a_hundred_masks_only_ar_at_1000_counts(clip: Clip, submission: Submission) -> None:
    row = Everything().run(clip, Stand([ELSEWHERE] * 100 + OBJECTS[:1]), submission).values[1]
    assert (row["AR@100"], row["AR@1000"], row["R@50"], row["IoU"]) == (0, 1, 1, 1)


def test_unknown_pixels_count_nowhere(make: Make, submission: Submission) -> None:
    """COCO's crowd, in the first rows, lies over the mask; a mask inside of it is no find at all."""
    clip = first_clip("coco", make("coco"), "image")
    crowd = np.zeros(SIZE, np.bool_)
    crowd[:3] = True
    reaching = [mask | crowd for mask in OBJECTS]
    found = Everything().run(clip, Stand([crowd, *reaching]), submission)
    assert found.values == {1: ALWAYS, 2: ALWAYS}


def test_the_best_masks_are_handed_in_and_all_beside(clip: Clip, submission: Submission) -> None:
    Everything().run(clip, Stand([ELSEWHERE, *reversed(OBJECTS)]), submission)
    path = submission.path(clip, 0)
    np.testing.assert_array_equal(read_index_png(path), index_map(3))
    assert len(json.loads(path.with_suffix(".json").read_text())["annotations"]) == 3


def test_means_over_pictures_stand_beside_those_over_objects() -> None:
    record = {"measures": ["IoU"], "settings": dict.fromkeys(("method", "protocol", "dataset", "split", "options"))}
    clips = [
        ClipResult(name, {n: {"IoU": 0.5} for n in range(1, objects + 1)}, {0: 0.5}, 1, 2.0, {"masks/picture": m})
        for name, objects, m in (("a", 1, 10.0), ("b", 9, 20.0))
    ]
    run = RunResult(Path(), record, tuple(clips))
    assert run.overall["masks/picture"] == 15  # each picture counts alike, however many objects it has
    assert "masks/picture 15.00" in markdown(run, 0)
    heading, *rows = sequence_rows(run)
    assert [dict(zip(heading, row, strict=True))["masks/picture"] for row in rows] == [10, 20]


@pytest.mark.parametrize("method", BASELINES.values(), ids=lambda method: method.name)
def test_who_has_to_be_told_is_told_so(clip: Clip, submission: Submission, method: Any) -> None:
    with pytest.raises(EvaluationError, match="finds nothing by itself; give a model"):
        Everything().run(clip, method, submission)


def test_a_picture_without_objects_is_told(make: Make, submission: Submission) -> None:
    root = make("folder")
    save_mask(root / "images/own/first.png", np.zeros(SIZE, np.uint8))
    clip = first_clip("folder", root, "image")
    with pytest.raises(EvaluationError, match="no object is marked in own/first"):
        Everything().run(clip, Stand([]), submission)


def test_masks_of_another_size_are_told(make: Make, submission: Submission) -> None:
    root = make("folder")
    save_mask(root / "images/own/first.png", index_map(3)[:40])
    clip = first_clip("folder", root, "image")
    with pytest.raises(FormatError, match=r"own/first.* are 64 x 40 pixels, but the picture is 64 x 48"):
        Everything().run(clip, Stand(OBJECTS), submission)
