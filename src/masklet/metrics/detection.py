"""COCO-style average precision of masks, by pycocotools: the `eval` extra."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from masklet.errors import EvaluationError
from masklet.masks.rle import encode_rle, rle_area, rle_box
from masklet.metrics.region import Mask, Values

MISSING = 'mask AP is computed by pycocotools; install it with: pip install "masklet[eval]"'


@dataclass(frozen=True)
class Picture:
    """What was found in a picture, and what is there. All of one category.

    predicted  bool (M, H, W)
    scores     float (M,), the surest highest
    truth      bool (N, H, W)
    """

    predicted: Mask
    scores: Values
    truth: Mask


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's numbers, each 0..1; NaN where no true mask is of that kind.

    ap       mean over IoU thresholds 0.5, 0.55, ... 0.95, at most 100 masks a picture
    ap50     at IoU 0.5
    ap75     at IoU 0.75
    small    true masks below 32 x 32 pixels
    medium   between
    large    above 96 x 96 pixels
    recall   mean recall, AR, with at most 100 masks a picture
    """

    ap: float
    ap50: float
    ap75: float
    small: float
    medium: float
    large: float
    recall: float


def average_precision(pictures: Sequence[Picture]) -> AveragePrecision:
    """Mask AP over pictures, as COCO's own evaluator computes it, whatever the category.

    An empty predicted mask matches nothing and counts as a false one. A picture without true masks makes all
    that is found there false; without any true mask at all every number is NaN. Raises EvaluationError if pycocotools
    is missing, if there is no picture, and for arrays that do not fit.

    Source: Lin et al., "Microsoft COCO", ECCV 2014, and https://cocodataset.org/#detection-eval.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise EvaluationError(MISSING) from error
    if not pictures:
        raise EvaluationError("there is no picture to score; give at least one")
    for picture in pictures:
        _check(picture)
    found = [entry for number, picture in enumerate(pictures, 1) for entry in _found(number, picture)]
    with contextlib.redirect_stdout(io.StringIO()):  # it reports each step
        truth = COCO()
        truth.dataset = _dataset(pictures)
        truth.createIndex()
        predicted = COCO()
        predicted.dataset = {**truth.dataset, "annotations": found}
        predicted.createIndex()
        evaluation = COCOeval(truth, predicted, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    numbers = [float(value) if value >= 0 else float("nan") for value in evaluation.stats]  # -1 stands for none
    ap, ap50, ap75, small, medium, large, _, _, recall = numbers[:9]
    return AveragePrecision(ap, ap50, ap75, small, medium, large, recall)


def _dataset(pictures: Sequence[Picture]) -> dict[str, Any]:
    annotations = [_annotation(number, mask) for number, picture in enumerate(pictures, 1) for mask in picture.truth]
    return {
        "images": [
            {"id": number, "height": picture.truth.shape[1], "width": picture.truth.shape[2]}
            for number, picture in enumerate(pictures, 1)
        ],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": [{**entry, "id": place} for place, entry in enumerate(annotations, 1)],
    }


def _found(number: int, picture: Picture) -> list[dict[str, Any]]:
    entries = zip(picture.predicted, picture.scores, strict=True)
    first = number * 1_000_000  # ids only need to differ
    return [
        {**_annotation(number, mask), "id": first + place, "score": float(score)}
        for place, (mask, score) in enumerate(entries)
    ]


def _annotation(number: int, mask: Mask) -> dict[str, Any]:
    rle = encode_rle(mask)
    return {
        "image_id": number,
        "category_id": 1,
        "segmentation": rle.to_json(),
        "area": rle_area(rle),
        "bbox": list(rle_box(rle)),
        "iscrowd": 0,
    }


def _check(picture: Picture) -> None:
    sizes = picture.predicted.shape[1:], picture.truth.shape[1:]
    if len(picture.predicted) != len(np.asarray(picture.scores)) or sizes[0] != sizes[1]:
        raise EvaluationError(
            f"{picture.predicted.shape} predicted masks, {len(picture.scores)} scores and {picture.truth.shape} true "
            "masks; give one score for each predicted mask, and masks of one height and width"
        )
