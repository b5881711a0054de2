"""Everything in a picture: options, the shape of the answer, and what it is kept as."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import PromptError
from masklet.image import EverythingOptions, ImagePredictor, MaskSet, segment_everything
from masklet.image.everything import settled
from masklet.masks.rle import decode_rle
from masklet.masks.shape import without_small_regions

WILLING = EverythingOptions(
    points_per_side=4, least_iou=0.2, least_stability=0.2, stability_offset=0.5, threshold=8, most_overlap=0.9
)
"""Options with which random weights find something."""


@pytest.fixture(scope="module")
def masks(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> MaskSet:
    return segment_everything(cat, predictor.engine, WILLING)


def test_each_mask_has_its_figures(masks: MaskSet) -> None:
    assert len(masks) > 3
    assert masks.masks.shape == (len(masks), *masks.size)
    assert (np.diff(masks.iou) <= 0).all()
    for i, mask in enumerate(masks):
        assert masks.areas[i] == mask.sum() == decode_rle(masks.rle(i)).sum()
        x0, y0, x1, y1 = masks.boxes[i]
        assert mask[y0:y1, x0:x1].sum() == mask.sum()
        assert mask[y0:y1, x0].any()
        assert mask[y1 - 1, x0:x1].any()
    assert ((masks.stability >= 0.2) & (masks.stability <= 1)).all()
    assert set(masks.points[:, 0]) <= set((np.arange(4) + 0.5) / 4 * masks.size[1])


def test_every_mask_is_an_object_of_its_own(masks: MaskSet) -> None:
    assert len(masks.best) == len(masks)
    assert len(masks.of(2)) == 1
    assert (masks.of(2)[0] == masks[2]).all()
    assert repr(masks.of(2)).startswith("MaskSet(1 of 226 x 150 pixels, iou 0.")


def test_where_masks_overlap_the_smaller_one_lies_on_top(masks: MaskSet) -> None:
    numbers = masks.index_map()
    covering = np.where(masks.masks, masks.areas[:, None, None], 1 << 40)
    assert ((numbers > 0) == masks.masks.any(axis=0)).all()
    found = numbers > 0
    assert (masks.areas[numbers[found] - 1] == covering.min(axis=0)[found]).all()


def test_it_is_drawn_and_saved_like_other_masks(masks: MaskSet, tmp_path: Path) -> None:
    overlay = np.asarray(masks.overlay())
    assert overlay.shape == masks.image.shape
    assert (overlay != masks.image).any()
    assert masks._repr_png_().startswith(b"\x89PNG")
    masks.save(tmp_path / "all.json")
    annotations = json.loads((tmp_path / "all.json").read_text())["annotations"]
    assert [entry["area"] for entry in annotations] == masks.areas.tolist()
    masks.save(tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as picture:
        assert (np.asarray(picture) == masks.index_map()).all()


def test_batches_make_no_difference(predictor: ImagePredictor, cat: NDArray[np.uint8], masks: MaskSet) -> None:
    others = segment_everything(cat, predictor.engine, dataclasses.replace(WILLING, points_per_batch=3))
    assert others.boxes.tolist() == masks.boxes.tolist()
    np.testing.assert_allclose(others.iou, masks.iou, atol=1e-5)


def test_points_of_your_own(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> None:
    options = dataclasses.replace(WILLING, grids=[[(0.25, 0.75)]], least_iou=0, least_stability=0)
    found = segment_everything(cat, predictor.engine, options)
    assert len(found) > 0
    assert found.points.tolist() == [[0.25 * 226, 0.75 * 150]] * len(found)


def test_small_regions_are_cleaned_in_pixels(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> None:
    found = segment_everything(cat, predictor.engine, dataclasses.replace(WILLING, min_region=30))
    assert len(found) > 0
    for mask in found:
        assert (without_small_regions(np.pad(mask, 1), 30)[1:-1, 1:-1] == mask).all()


@pytest.mark.parametrize("crop_layers", [0, 1])
def test_nothing_found_is_no_masks(predictor: ImagePredictor, cat: NDArray[np.uint8], crop_layers: int) -> None:
    options = EverythingOptions(points_per_side=2, least_iou=1, crop_layers=crop_layers, min_region=5)
    found = segment_everything(cat, predictor.engine, options)
    assert len(found) == 0
    assert found.masks.shape == (0, 150, 226)
    assert found.to_coco()["annotations"] == []
    assert (np.asarray(found.overlay()) == cat).all()


@pytest.mark.parametrize("size", [(1, 1), (300, 2), (2, 300)])
def test_pictures_of_strange_sizes(predictor: ImagePredictor, size: tuple[int, int]) -> None:
    found = segment_everything(np.zeros((*size, 3), np.uint8), predictor.engine, WILLING)
    assert found.size == size


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"points_per_side": 0}, "points_per_side is 0; give a number from 1 to 1024"),
        ({"least_iou": 1.5}, "least_iou is 1.5; give a number from 0 to 1"),
        ({"most_overlap": float("nan")}, "most_overlap is nan; give a number from 0 to 1"),
        ({"crop_layers": -1}, "crop_layers is -1; give a number from 0 to 5"),
        ({"crop_layers": 1, "grids": [[(0.5, 0.5)]]}, "grids has 1 entries for the picture and 1 layers of crops"),
    ],
)
def test_options_that_make_no_sense_are_told(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        EverythingOptions(**wrong)  # type: ignore[arg-type]


def test_points_outside_the_picture_are_told(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> None:
    with pytest.raises(PromptError, match="grid 0 holds"):
        segment_everything(cat, predictor.engine, EverythingOptions(grids=[[(0.5, 1.5)]]))


def test_thresholds_are_those_of_the_model_unless_given() -> None:
    published, own = settled(EverythingOptions(), "sam2.1-tiny"), settled(EverythingOptions(), "nano")
    assert (published.least_iou, published.least_stability, published.stability_offset) == (0.8, 0.95, 1.0)
    assert own.least_iou < published.least_iou
    assert settled(EverythingOptions(least_iou=0.9), "nano").least_iou == 0.9
    assert settled(EverythingOptions(points_per_side=4, min_region=9), "nano").min_region == 9
