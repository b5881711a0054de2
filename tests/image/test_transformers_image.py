"""A picture and the same random weights give the same masks here and in transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from masklet.image import EncodedImage, ImagePredictor
from masklet.image.picture import picture_tensor
from tests.checkpoints.test_transformers_parity import SIZE, Pair

CLICK = (60.0, 40.0)
BOX = (20.0, 10.0, 120.0, 100.0)


@pytest.fixture(scope="module")
def pair() -> Pair:
    with torch.no_grad():
        return Pair("2.1")


@pytest.fixture(scope="module")
def encoded(pair: Pair, cat: NDArray[np.uint8]) -> EncodedImage:
    return ImagePredictor(pair.ours).encode(cat)


def scaled(numbers: tuple[float, ...], size: tuple[int, int]) -> torch.Tensor:
    """Pixels of the picture as pixels of the square: pairs of x and y."""
    height, width = size
    return torch.tensor(numbers).view(-1, 2) / torch.tensor([width, height]) * SIZE


def enlarged(logits: torch.Tensor, size: tuple[int, int]) -> NDArray[np.bool_]:
    return (F.interpolate(logits, size=size, mode="bilinear", align_corners=False)[0] > 0).numpy()


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


@torch.inference_mode()
def test_a_click_gives_the_same_three_masks(pair: Pair, encoded: EncodedImage) -> None:
    theirs = pair.image(
        pixel_values=picture_tensor(encoded.image, pair.ours),
        input_points=scaled(CLICK, encoded.size)[None, None],
        input_labels=torch.ones(1, 1, 1, dtype=torch.int32),
    )
    ours = ImagePredictor(pair.ours).predict(encoded, points=[CLICK])
    best_first = theirs.iou_scores[0, 0].argsort(descending=True)
    masks = enlarged(theirs.pred_masks[0, 0, best_first][None], encoded.size)
    np.testing.assert_allclose(ours.iou, theirs.iou_scores[0, 0, best_first], atol=1e-4)
    for mine, other in zip(ours, masks, strict=True):
        assert 0.01 < mine.mean() < 0.99
        assert iou(mine, other) >= 0.999


@torch.inference_mode()
def test_boxes_give_the_same_masks(pair: Pair, encoded: EncodedImage) -> None:
    boxes = [BOX, (100.0, 50.0, 220.0, 140.0)]
    theirs = pair.image(
        pixel_values=picture_tensor(encoded.image, pair.ours),
        input_boxes=torch.stack([scaled(box, encoded.size).flatten() for box in boxes])[None],
        multimask_output=True,
    )
    ours = ImagePredictor(pair.ours).predict(encoded, boxes=boxes, multimask=True)
    for number in range(2):
        best_first = theirs.iou_scores[0, number].argsort(descending=True)
        masks = enlarged(theirs.pred_masks[0, number, best_first][None], encoded.size)
        for mine, other in zip(ours.of(number), masks, strict=True):
            assert iou(mine, other) >= 0.999
