"""The first Segment Anything's predictor with its own models behind, and the frame of its tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import masklet
from masklet.compat.sam1 import SamAutomaticMaskGenerator, SamPredictor
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.engines.torch import Model
from masklet.image.predictor import ImagePredictor
from tests.checkpoints.test_first_parity import CONFIG

PICTURE = np.random.default_rng(3).integers(0, 255, (90, 150, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> Model:
    return masklet.build_model(CONFIG, seed=0)


@pytest.fixture
def predictor(model: Model) -> SamPredictor:
    found = SamPredictor(SAM2Base(model))
    found.set_image(PICTURE)
    return found


def test_a_picture_is_seen_without_stretching_a_side(predictor: SamPredictor, model: Model) -> None:
    """The answer is that to the picture filled up to a square, cut to the picture."""
    masks, scores, logits = predictor.predict(point_coords=[[40, 30]], point_labels=[1], return_logits=True)
    assert masks.shape == (3, 90, 150)
    square = np.full((150, 150, 3), (124, 116, 104), np.uint8)
    square[:90] = PICTURE
    other = ImagePredictor(model)
    expected = other.predict(other.encode(square), points=[(40, 30)], multimask=True)
    order = np.argsort(-scores)
    np.testing.assert_allclose(np.clip(expected.logits, -32, 32), logits[order], atol=1e-5)
    full = torch.nn.functional.interpolate(torch.from_numpy(expected.logits)[None], (150, 150), mode="bilinear")[0]
    np.testing.assert_allclose(full[:, :90], masks[order], atol=1e-4)


def test_tensors_are_in_the_frame_of_the_transform(predictor: SamPredictor) -> None:
    boxes = torch.tensor([[10.0, 20.0, 90.0, 70.0], [30.0, 5.0, 140.0, 80.0]])
    assert predictor.input_size == (77, 128)
    scaled = predictor.transform.apply_boxes_torch(boxes, PICTURE.shape[:2])
    masks, scores, _ = predictor.predict_torch(None, None, boxes=scaled, multimask_output=False)
    plain, expected, _ = predictor.predict(box=boxes.numpy(), multimask_output=False)
    assert masks.shape == (2, 1, 90, 150)
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-4)
    assert (masks.numpy() != plain).mean() < 0.001


def test_the_transform_scales_the_longer_side(predictor: SamPredictor) -> None:
    transform = predictor.transform
    assert transform.apply_image(PICTURE).shape == (77, 128, 3)
    assert transform.apply_image_torch(torch.zeros(1, 3, 90, 150)).shape == (1, 3, 77, 128)
    np.testing.assert_allclose(transform.apply_coords(np.array([[150.0, 90.0]]), (90, 150)), [[128, 77]])
    np.testing.assert_allclose(transform.apply_boxes(np.array([[0, 0, 150, 90]]), (90, 150)), [[0, 0, 128, 77]])


def test_automatic_masks() -> None:
    model = masklet.build_model(CONFIG, seed=0)
    model.network.sam_mask_decoder.iou_prediction_head.layers[-1].bias.fill_(0.9)
    generator = SamAutomaticMaskGenerator(
        SAM2Base(model), points_per_side=4, pred_iou_thresh=0.5, stability_score_thresh=0.0
    )
    found = generator.generate(PICTURE)
    assert found
    assert all(mask["segmentation"].shape == (90, 150) for mask in found)


def test_a_picture_of_shares_is_not_black(predictor: SamPredictor) -> None:
    whole = predictor.get_image_embedding()
    predictor.set_image(np.float32(PICTURE) / 255)
    np.testing.assert_allclose(predictor.get_image_embedding(), whole, atol=1e-3)
