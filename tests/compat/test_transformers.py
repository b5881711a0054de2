"""Transformers' calls on our models: the real classes, with the same random weights, are asked beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from masklet.compat.border import SettingRefused
from masklet.compat.sam2.utils.amg import rle_to_mask
from masklet.compat.transformers import PADDING, Sam2Model, Sam2Processor, pipeline
from masklet.engines.fake import FakeEngine
from masklet.errors import PromptError
from masklet.image import ImagePredictor
from tests.checkpoints.test_transformers_parity import SIZE, Pair

PICTURES = [np.random.default_rng(side).integers(0, 255, (side, 90, 3), np.uint8) for side in (60, 80)]
POINTS = [[[[40, 20]], [[10, 30], [70, 50]]], [[[5, 5], [80, 70]], [[44, 60]]]]
LABELS = [[[1], [1, 0]], [[1, 1], [1]]]
BOXES = [[[10, 5, 60, 50], [30, 20, 88, 59]], [[0, 0, 45, 79], [20, 10, 80, 70]]]


@pytest.fixture(scope="module")
def pair() -> Pair:
    """One network behind transformers' class and behind ours."""
    with torch.no_grad():
        return Pair("2.1")


@pytest.fixture
def model(pair: Pair) -> Sam2Model:
    return Sam2Model(pair.ours)


@pytest.fixture
def processor() -> Sam2Processor:
    return Sam2Processor(SIZE)


def test_a_processor_gives_what_theirs_gives(processor: Sam2Processor) -> None:
    """Values of transformers' `Sam2Processor` at a side of 64, written down; it needs torchvision."""
    inputs = processor(images=PICTURES, input_points=POINTS, input_labels=LABELS, input_boxes=BOXES)
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {
        "pixel_values": (2, 3, 64, 64),
        "original_sizes": (2, 2),
        "input_points": (2, 2, 2, 2),
        "input_labels": (2, 2, 2),
        "input_boxes": (2, 2, 4),
    }
    assert inputs.input_labels.tolist() == [[[1, PADDING], [1, 0]], [[1, 1], [1, PADDING]]]
    assert inputs.input_points[0, 0, 1].tolist() == [PADDING] * 2
    torch.testing.assert_close(
        inputs.input_points[0, 1], torch.tensor([[10, 30], [70, 50]]) * torch.tensor([64 / 90, 64 / 60])
    )
    torch.testing.assert_close(inputs.input_boxes[1, 0], torch.tensor([0, 0, 32, 63.2]))


@torch.inference_mode()
@pytest.mark.parametrize(
    "prompts",
    [
        {"input_points": [[[[40, 20]]], [[[5, 5]]]], "input_labels": [[[1]], [[1]]]},
        {"input_points": [[[[40, 20], [1, 2]]] * 2, [[[5, 5], [80, 70]]] * 2], "input_labels": [[[1, 0], [1, -1]]] * 2},
        {"input_boxes": BOXES},
        {},
    ],
)
@pytest.mark.parametrize("three", [True, False])
def test_answers_are_those_of_the_real_class(
    pair: Pair, model: Sam2Model, processor: Sam2Processor, prompts: dict[str, Any], three: bool
) -> None:
    inputs = processor(images=PICTURES, **prompts)
    sizes = inputs.pop("original_sizes")
    theirs, ours = (asked(**inputs, multimask_output=three) for asked in (pair.image, model))
    for name in ("iou_scores", "pred_masks", "object_score_logits"):
        assert ours[name].shape == theirs[name].shape, name
    if three:  # a single mask gives way where it is not stable, which the configuration of theirs leaves out
        torch.testing.assert_close(ours.iou_scores, theirs.iou_scores, atol=1e-4, rtol=0)
        torch.testing.assert_close(ours.pred_masks, theirs.pred_masks, atol=1e-3, rtol=1e-3)
    for level, other in zip(ours.image_embeddings, theirs.image_embeddings, strict=True):
        torch.testing.assert_close(level, other, atol=1e-4, rtol=1e-4)
    count = ours.pred_masks.shape[1]
    full = processor.post_process_masks(ours.pred_masks, sizes)
    assert [(one.shape, one.dtype) for one in full] == [
        ((count, 3 if three else 1, h, 90), torch.bool) for h in (60, 80)
    ]


def test_an_earlier_answer_and_kept_features_are_taken(pair: Pair, model: Sam2Model, processor: Sam2Processor) -> None:
    inputs = processor(images=PICTURES[0], input_points=[[[[40, 20]]]], input_labels=[[[1]]])
    pixels, _ = inputs.pop("pixel_values"), inputs.pop("original_sizes")
    features = model.get_image_embeddings(pixels)
    first = model(pixels, **inputs)
    torch.testing.assert_close(model(image_embeddings=features, **inputs)[0], first[0])
    earlier = first.pred_masks[:, :, 0]
    with torch.inference_mode():
        theirs = pair.image(pixel_values=pixels, input_masks=earlier)
    torch.testing.assert_close(model(pixels, input_masks=earlier).iou_scores, theirs.iou_scores, atol=1e-4, rtol=0)


def test_padding_changes_nothing(model: Sam2Model, processor: Sam2Processor) -> None:
    inputs = processor(images=PICTURES, input_points=POINTS, input_labels=LABELS)
    alone = processor(images=PICTURES[1], input_points=[POINTS[1][1:]], input_labels=[LABELS[1][1:]])
    torch.testing.assert_close(model(**inputs).pred_masks[1, 1], model(**alone).pred_masks[0, 0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("three", [True, False])
def test_engines_of_arrays_answer_too(three: bool) -> None:
    predictor, processor = ImagePredictor(FakeEngine()), Sam2Processor(64)
    expected = predictor.predict(predictor.encode(PICTURES[0]), points=[(40, 20)], multimask=three)
    inputs = processor(images=PICTURES[0], input_points=[[[[40, 20]]]])
    inputs.pop("original_sizes")
    found = Sam2Model(FakeEngine())(**inputs, multimask_output=three)
    order = np.argsort(expected.candidates)
    torch.testing.assert_close(found.pred_masks[0, 0], torch.from_numpy(expected.logits[order]), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.iou_scores[0, 0], torch.from_numpy(expected.iou[order]), atol=1e-4, rtol=0)


def test_what_is_not_understood(model: Sam2Model, processor: Sam2Processor) -> None:
    with pytest.raises(PromptError, match="input_points is not nested 4 deep"):
        processor(images=PICTURES[0], input_points=[[40, 20]])
    with pytest.raises(PromptError, match="neither images nor original_sizes"):
        processor(input_points=POINTS)
    with pytest.raises(SettingRefused, match="'np' is not understood"):
        processor(images=PICTURES[0], return_tensors="np")
    with pytest.raises(PromptError, match="exactly one of pixel_values and image_embeddings"):
        model(input_points=torch.zeros(1, 1, 1, 2))
    with pytest.raises(PromptError, match=r"prompts have the shapes \(2, 1, 1, 2\), \(2, 1, 1\) for 1 pictures"):
        model(torch.zeros(1, 3, SIZE, SIZE), torch.zeros(2, 1, 1, 2))
    with pytest.raises(PromptError, match="there are 2 input_masks for 3 objects"):
        model(torch.zeros(1, 3, SIZE, SIZE), torch.zeros(1, 3, 1, 2), input_masks=torch.zeros(2, 1, 16, 16))
    with pytest.raises(SettingRefused, match="'crop_layers' is not understood; understood are points_per_crop"):
        pipeline("mask-generation", model=FakeEngine())(PICTURES[0], crop_layers=1)
    with pytest.raises(SettingRefused, match="the task is 'depth'; masklet has 'mask-generation'"):
        pipeline("depth")
    assert Sam2Processor.from_pretrained("facebook/sam2.1-hiera-tiny")._square.resolution == 1024


def test_masks_of_everything_by_the_pipeline() -> None:
    shapes = np.full((60, 90, 3), 90, np.uint8)
    shapes[10:30, 10:40], shapes[35:55, 50:80] = (220, 30, 30), (30, 200, 40)
    generate = pipeline("mask-generation", model=FakeEngine())
    found = generate(
        shapes,
        points_per_crop=6,
        pred_iou_thresh=0,
        stability_score_thresh=0,
        output_bboxes_mask=True,
        output_rle_mask=True,
    )
    assert len(found["masks"]) == len(found["scores"]) == len(found["bounding_boxes"]) == len(found["rle_mask"]) > 1
    assert {(mask.shape, mask.dtype) for mask in found["masks"]} == {((60, 90), torch.bool)}
    for mask, runs, box in zip(found["masks"], found["rle_mask"], found["bounding_boxes"], strict=True):
        assert torch.equal(torch.from_numpy(rle_to_mask(runs)), mask)
        rows, columns = torch.where(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max(), rows.max()]
    assert found["scores"].dtype == torch.float32
    assert isinstance(generate([shapes], points_per_crop=2), list)
