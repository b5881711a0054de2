"""The first Segment Anything's predictor with its own models behind, and the frame of its tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import masklet
from masklet.checkpoints import names
from masklet.compat.sam1 import Sam, SamAutomaticMaskGenerator, SamPredictor, sam_model_registry
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor
from masklet.compat.sam2.sam2_video_predictor import SAM2VideoPredictor
from masklet.compat.transformers import Sam2Processor
from masklet.engines.torch import Model
from masklet.image.predictor import ImagePredictor
from masklet.nn import PromptTokens
from tests.checkpoints.test_first_parity import CONFIG

PICTURE = np.random.default_rng(3).integers(0, 255, (90, 150, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> Model:
    return masklet.build_model(CONFIG, seed=0)


@pytest.fixture
def predictor(model: Model) -> SamPredictor:
    found = SamPredictor(Sam(model))
    found.set_image(PICTURE)
    return found


def test_a_picture_is_seen_without_stretching_a_side(predictor: SamPredictor, model: Model) -> None:
    """Logits are those of the square, of which the picture takes 77 of 128 rows; masks are cut from it."""
    masks, scores, logits = predictor.predict(point_coords=[[40, 30]], point_labels=[1], return_logits=True)
    assert masks.shape == (3, 90, 150)
    levels = ImagePredictor(model).encode(PICTURE).levels
    point = torch.tensor([[[40 * 128 / 150, 30 * 77 / 90]]])
    tokens = PromptTokens(torch.cat([point, torch.zeros(1, 1, 2)], dim=1), torch.tensor([[1, -1]]))
    expected = model.decode_masks(levels.stride16, levels, tokens)
    np.testing.assert_allclose(logits, expected.logits[0, 1:], atol=1e-5)
    np.testing.assert_allclose(scores, expected.iou[0, 1:], atol=1e-6)
    square = F.interpolate(expected.logits[:, 1:], (128, 128), mode="bilinear")
    full = F.interpolate(square[..., :77, :], (90, 150), mode="bilinear")[0]
    np.testing.assert_allclose(masks, full, atol=1e-5)


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
        Sam(model), points_per_side=4, pred_iou_thresh=0.5, stability_score_thresh=0.0
    )
    assert isinstance(generator.predictor, SamPredictor)
    found = generator.generate(PICTURE)
    assert found
    assert all(mask["segmentation"].shape == (90, 150) for mask in found)


def test_a_picture_of_shares_is_not_black(predictor: SamPredictor) -> None:
    whole = predictor.get_image_embedding()
    predictor.set_image(np.float32(PICTURE) / 255)
    np.testing.assert_allclose(predictor.get_image_embedding(), whole, atol=1e-3)


def test_the_parts_answer_as_the_predictor(model: Model, predictor: SamPredictor) -> None:
    """As fine-tuning scripts call them: pictures in the frame of the transform, each part alone, and all at once."""
    sam, transform = Sam(model), predictor.transform
    scaled = torch.from_numpy(transform.apply_image(PICTURE).copy()).permute(2, 0, 1).float()
    point = transform.apply_coords_torch(torch.tensor([[[40.0, 30.0]]]), (90, 150))
    asked = {"image": scaled, "original_size": (90, 150), "point_coords": point, "point_labels": torch.ones(1, 1)}
    (answer,) = sam([asked], multimask_output=True)
    predictor.set_torch_image(scaled[None], (90, 150))
    masks, scores, logits = predictor.predict_torch(point, torch.ones(1, 1))
    assert answer["masks"].shape == masks.shape == (1, 3, 90, 150)
    torch.testing.assert_close(answer["iou_predictions"], scores, atol=1e-6, rtol=0)
    torch.testing.assert_close(answer["low_res_logits"], logits, atol=1e-5, rtol=0)
    assert torch.equal(answer["masks"], masks)
    assert {name.split(".")[0] for name, _ in sam.mask_decoder.named_parameters()} >= {"iou_token", "transformer"}
    assert (sam.mask_threshold, sam.preprocess(scaled).shape) == (0.0, (3, 128, 128))
    changed = {name: tensor + 0.1 for name, tensor in names.to_first(sam.state_dict()).items()}
    sam.load_state_dict(changed)
    (after,) = sam([asked], multimask_output=True)
    assert not torch.allclose(after["iou_predictions"], answer["iou_predictions"])
    sam.load_state_dict(names.to_first({name: tensor - 0.1 for name, tensor in sam.state_dict().items()}))


def test_a_model_of_sam_2_says_that_it_cannot_be_asked_so() -> None:
    with pytest.raises(RuntimeError, match="nano is a model of SAM 2; ask it by SamPredictor"):
        sam_model_registry["nano"]()([], multimask_output=True)


def test_insides_know_where_a_picture_lies(model: Model, tmp_path: Path) -> None:
    """What clients read in pixels of the square: a picture twice as wide as high takes its upper half."""
    picture, corner = PICTURE[:75], [[150.0, 75.0]]
    predictor = SAM2ImagePredictor(Sam(model))
    predictor.set_image(picture)
    _, points, _, boxes = predictor._prep_prompts(corner, [1], [0, 0, 150, 75], None, True)
    assert points is not None
    assert boxes is not None
    assert points.tolist() == [[[128, 64]]]
    assert boxes.tolist() == [[[0, 0], [128, 64]]]
    seen = predictor._transforms(picture)
    assert (seen[:, 64:] == 0).all()
    assert (seen[:, :64] != 0).all()
    masks = torch.zeros(1, 1, 32, 32)
    masks[..., 16:, :] = 1
    assert predictor._transforms.postprocess_masks(masks, (75, 150))[..., :70, :].max() == 0
    inputs = Sam2Processor(128, model.config.placed)(picture, input_points=[[corner]])
    assert inputs["input_points"].tolist() == [[[[128, 64]]]]
    assert torch.equal(inputs["pixel_values"][0], seen)
    video = SAM2VideoPredictor(model)
    for name in ("0.png", "1.png"):
        Image.fromarray(picture).save(tmp_path / name)
    state = video.init_state(tmp_path)
    video.add_new_points_or_box(state, 0, 1, points=corner, labels=[1])
    assert state["point_inputs_per_obj"][0][0]["point_coords"].tolist() == [[[128, 64]]]
