"""Pictures of models of the first Segment Anything are scaled and filled up, wherever one is used, as by transformers'
`SamProcessor`: the same pixels, points, scores and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import SamModel, SamProcessor
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from masklet.engines.torch import Model
from masklet.image import EverythingOptions, ImagePredictor, segment_everything
from masklet.image.names import appearances
from masklet.image.picture import crop_of, picture_tensor
from masklet.nn import PromptTokens
from masklet.video import VideoTracker
from masklet.video.reader import frame_tensor
from tests.checkpoints.test_first_parity import SIZE, no_gradients, ours, theirs

__all__ = ["no_gradients", "ours", "theirs"]

SIZES = [(60, 80), (97, 45), (300, 128), (64, 64)]
POINT, BOX = (20, 30), (8, 10, 40, 50)
RADIUS = 24.0
"""Of a disc, in pixels of the square."""


def picture_of(size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Two plain things on a ground with a slope."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack((rows * 255 // height, columns * 255 // width, rows * 0 + 90), axis=-1).astype(np.uint8)
    picture[10:50, 8:40], picture[height // 2 :, width // 2 :] = (220, 30, 30), (30, 200, 40)
    return picture


@pytest.fixture(scope="module")
def processor() -> SamProcessor:
    square = {"height": SIZE, "width": SIZE}
    return SamProcessor(SamImageProcessorPil(size={"longest_edge": SIZE}, pad_size=square))


class Seeing(Model):
    """Sees the pixels that transformers' processor makes: these are rounded, ours are not."""

    pixels: torch.Tensor | None = None

    def encode_image(self, images: torch.Tensor) -> Any:
        return super().encode_image(images if self.pixels is None else self.pixels)


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_theirs(ours: Model, processor: SamProcessor, size: tuple[int, int]) -> None:
    picture = picture_of(size)
    wanted = processor(images=picture, return_tensors="pt")["pixel_values"]
    found = picture_tensor(picture, ours)
    level = 1 / 255 / 0.224
    assert (found - wanted).abs().max() < level
    assert torch.equal(found == 0, wanted == 0)
    assert (frame_tensor(picture, ours) - wanted).abs().mean() < level  # by the filter of frames


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("prompt", [{"points": [POINT]}, {"boxes": BOX}], ids=["point", "box"])
def test_scores_and_masks_are_theirs(
    ours: Model, theirs: SamModel, processor: SamProcessor, size: tuple[int, int], prompt: dict[str, Any]
) -> None:
    picture = picture_of(size)
    asked = {"input_points": [[[list(POINT)]]]} if "points" in prompt else {"input_boxes": [[list(map(float, BOX))]]}
    inputs = processor(images=picture, return_tensors="pt", **asked)
    sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
    wanted = theirs(**inputs)
    logits = processor.image_processor.post_process_masks(wanted.pred_masks, *sizes, binarize=False)[0][0]
    engine = Seeing("parity", ours.network)
    engine.pixels = inputs["pixel_values"]
    predictor = ImagePredictor(engine)
    found = predictor.predict(predictor.encode(picture), multimask=True, **prompt)
    order = np.argsort(found.candidates)
    np.testing.assert_allclose(found.iou[order], wanted.iou_scores[0, 0], atol=1e-4)
    for i, mask in zip(order, logits.numpy(), strict=True):  # of random weights each cell's is another
        assert np.corrcoef(found.full_logits(i).ravel(), mask.ravel())[0, 1] > 0.9


class Discs(Model):
    """Around the last point of each prompt, on the square, a disc; without a point the mask of the prompt again."""

    def decode_masks(self, features: Any, levels: Any, prompts: Any) -> Any:
        decoded = super().decode_masks(features, levels, prompts)
        cells = 4 * torch.arange(SIZE // 4) + 2.0
        rows = []
        for n, labels in enumerate(prompts.labels.tolist()):
            points = [point for point, label in zip(prompts.points[n], labels, strict=True) if label >= 0]
            if points:
                x, y = points[-1]
                rows.append(RADIUS - torch.hypot(cells[None] - x, cells[:, None] - y))
            else:
                rows.append(prompts.masks[n, 0])
        logits = torch.stack(rows)[:, None].expand(-1, 4, -1, -1)
        return decoded._replace(logits=logits, iou=torch.ones_like(decoded.iou))


@pytest.fixture
def discs(ours: Model) -> Discs:
    return Discs("parity", ours.network)


def disc(size: tuple[int, int], point: tuple[float, float]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The disc in the picture: round there too."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    return np.hypot(columns - point[0], rows - point[1]) * SIZE / max(size) < RADIUS


def overlap(one: Any, other: Any) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_is_not_stretched(discs: Discs, processor: SamProcessor, size: tuple[int, int]) -> None:
    predictor, picture = ImagePredictor(discs), picture_of(size)
    found = predictor.predict(predictor.encode(picture), points=[[POINT], [BOX[2:]]], multimask=False)
    for mask, point in zip(found, (POINT, BOX[2:]), strict=True):
        assert overlap(mask, disc(size, point)) > 0.96
    again = predictor.predict(predictor.encode(picture), masks=found.logits[0], multimask=False)
    assert overlap(again[0], found[0]) > 0.98
    inputs = processor(images=picture, input_points=[[[list(POINT)]]], return_tensors="pt")
    tokens = PromptTokens(inputs["input_points"][0].float(), torch.ones(1, 1, dtype=torch.long))
    answer = discs.decode_masks(*seen(discs, inputs["pixel_values"]), tokens).logits[None, :, :1]
    sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
    (theirs,) = processor.image_processor.post_process_masks(answer, *sizes)
    assert overlap(found[0], theirs[0, 0].numpy()) > 0.98


def test_everything_is_not_stretched(discs: Discs) -> None:
    options = EverythingOptions(points_per_side=3, least_stability=0, most_overlap=1, refine=True)
    size = SIZES[0]
    found = segment_everything(picture_of(size), discs, options)
    assert len(found) > 9
    assert all(overlap(mask, disc(size, point)) > 0.94 for mask, point in zip(found, found.points, strict=True))


def test_followed_objects_are_not_stretched(discs: Discs) -> None:
    size = SIZES[0]
    expected = disc(size, POINT)
    given = disc(size, BOX[2:])
    with VideoTracker(np.stack([picture_of(size)] * 4), discs) as tracker:
        tracker.add_points(frame=0, object=1, points=[POINT])
        tracker.add_mask(frame=0, object=2, mask=given)
        results = list(tracker.propagate())
    assert len(results) == 4
    for result in results:
        assert overlap(result.objects[1].mask, expected) > 0.93
        assert overlap(result.objects[2].mask, given) > 0.93


def seen(model: Model, pixels: torch.Tensor) -> tuple[torch.Tensor, Any]:
    levels = model.encode_image(pixels)
    return levels.stride16, levels


class Loud(Model):
    """Features of what was filled up are far from any other."""

    def encode_image(self, images: torch.Tensor) -> Any:
        levels = super().encode_image(images)
        empty = (images == 0).all(dim=1)[:, ::16, ::16]
        return levels._replace(stride16=levels.stride16 + 1e3 * empty[:, None])


def test_looks_of_crops_leave_out_what_was_filled_up(ours: Model) -> None:
    mask = np.zeros((60, 80), bool)
    mask[20:26, 10:70] = True
    crop = crop_of(picture_of((60, 80)), mask, "mask")
    assert crop.image.shape[0] != crop.image.shape[1]
    plain, loud = (appearances(ImagePredictor(engine), [crop]) for engine in (ours, Loud("parity", ours.network)))
    np.testing.assert_allclose(plain, loud, atol=1e-5)
