from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from masklet.errors import EvaluationError
from masklet.masks.rle import Patch, cut_patch, encode_rle
from masklet.metrics.jf import region_similarity
from masklet.metrics.recall import THRESHOLDS, iou_table, is_found


def square(y: int, x: int, side: int) -> np.ndarray:
    mask = np.zeros((60, 80), np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


def patches(masks: list[np.ndarray]) -> list[Patch]:
    return [patch for mask in masks if (patch := cut_patch(mask))]


def scattered(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Objects, some of which overlap, and looser masks of them in several copies, of which some scores are equal."""
    random = np.random.default_rng(seed)
    truth = [square(*random.integers(0, 40, 2), random.integers(8, 20)) for _ in range(7)]
    found = [np.roll(mask, random.integers(-3, 4, 2), (0, 1)) for mask in truth for _ in range(3)]
    return found, truth, random.integers(0, 6, len(found)) / 6


def test_the_table_is_the_iou_of_the_masks() -> None:
    found, truth, _ = scattered(1)
    table = iou_table(patches(found), patches(truth))
    for row, one in zip(table, found, strict=True):
        np.testing.assert_allclose(row, [float(region_similarity(one, other)) for other in truth], atol=1e-12)
    assert iou_table([], patches(truth)).shape == (0, 7)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most", [2, 5, 100])
def test_it_is_what_coco_says(seed: int, most: int) -> None:
    """The published evaluator, on objects that overlap, with equal scores and with more masks than count."""
    found, truth, scores = scattered(seed)
    ours = is_found(iou_table(patches(found), patches(truth)), scores, most)
    np.testing.assert_allclose(ours.mean(axis=1), coco_recall(found, truth, scores, most), atol=1e-12)


def coco_recall(found: list[np.ndarray], truth: list[np.ndarray], scores: np.ndarray, most: int) -> np.ndarray:
    """By IoU threshold."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entries(masks: list[np.ndarray]) -> list[dict]:
        shared = {"image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 1, 1]}
        return [
            {"id": place, "segmentation": encode_rle(mask).to_json(), "area": int(mask.sum()), **shared}
            for place, mask in enumerate(masks, 1)
        ]

    content = {"images": [{"id": 1, "height": 60, "width": 80}], "categories": [{"id": 1, "name": "object"}]}
    with contextlib.redirect_stdout(io.StringIO()):
        theirs, ours = COCO(), COCO()
        theirs.dataset = {**content, "annotations": entries(truth)}
        scored = [{**entry, "score": float(score)} for entry, score in zip(entries(found), scores, strict=True)]
        ours.dataset = {**content, "annotations": scored}
        theirs.createIndex()
        ours.createIndex()
        evaluation = COCOeval(theirs, ours, "segm")
        evaluation.params.maxDets = [most]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["recall"][:, 0, 0, 0]


def test_a_second_mask_of_an_object_adds_nothing() -> None:
    """Of two objects one is found, three times."""
    ious = np.array([[0.9, 0.0], [0.8, 0.0], [1.0, 0.0]])
    found = is_found(ious, np.array([0.9, 0.8, 0.7]), 100)
    assert not found[:, 1].any()
    assert found[:, 0].all()  # the third alone reaches 0.95; at 0.9 the first is the one that counts


def test_only_the_surest_count() -> None:
    ious = np.array([[0.6, 0.0], [0.0, 0.7]])
    found = is_found(ious, np.array([0.2, 0.9]), 1)
    assert found.sum(axis=0).tolist() == [0, (THRESHOLDS < 0.71).sum()]


def test_nothing_found_and_nothing_there() -> None:
    assert not is_found(np.zeros((0, 3)), np.zeros(0), 100).any()
    assert is_found(np.zeros((3, 0)), np.zeros(3), 100).shape == (10, 0)


def test_scores_that_do_not_fit_are_told() -> None:
    with pytest.raises(EvaluationError, match="2 scores; give"):
        is_found(np.zeros((3, 1)), np.zeros(2), 100)
