"""Automatic masks under the reference's names, and the helpers around them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from masklet.checkpoints import Model
from masklet.compat.sam1 import Sam, SamAutomaticMaskGenerator
from masklet.compat.sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.utils import amg
from tests.conftest import GOLDEN, small_network

RECORDED = json.loads((GOLDEN / "image/amg.json").read_text())
FURTHER = GOLDEN.parents[2] / "shared/golden/image"


@pytest.fixture(scope="module")
def model() -> SAM2Base:
    return SAM2Base(Model("golden-small", small_network()))


@pytest.fixture(scope="module")
def cat() -> np.ndarray:
    return np.array(Image.open(GOLDEN / "image/photo_cat.png").convert("RGB"))


@pytest.mark.parametrize("case", ["photo_cat/grid8", "photo_cat/grid8_m2m"])
def test_recorded_annotations(model: SAM2Base, cat: np.ndarray, case: str) -> None:
    recorded = RECORDED[case]
    generator = SAM2AutomaticMaskGenerator(model, **recorded["options"], output_mode="uncompressed_rle")
    found = generator.generate(cat)
    assert len(found) == len(recorded["masks"])
    for ours, golden in zip(found, recorded["masks"], strict=True):
        assert ours.keys() == golden.keys()
        for key in ("area", "bbox", "point_coords", "crop_box"):
            assert ours[key] == golden[key], key
        assert all(type(number) is float for number in ours["bbox"])
        for key in ("predicted_iou", "stability_score"):
            assert ours[key] == pytest.approx(golden[key], abs=1e-4), key


def test_the_three_forms_of_a_mask_are_one(model: SAM2Base, cat: np.ndarray) -> None:
    options = RECORDED["photo_cat/grid8"]["options"]
    plain, runs, coco = (
        SAM2AutomaticMaskGenerator(model, **options, output_mode=mode).generate(cat)[0]["segmentation"]
        for mode in ("binary_mask", "uncompressed_rle", "coco_rle")
    )
    assert plain.dtype == bool
    assert (amg.rle_to_mask(runs) == plain).all()
    assert amg.coco_encode_rle(runs) == coco
    assert amg.area_from_rle(runs) == plain.sum()


def test_crops_are_told_in_the_annotations(model: SAM2Base) -> None:
    if not (FURTHER / "amg.json").exists():
        pytest.skip("needs amg.json of the shared golden files, which is not beside this checkout")
    recorded = json.loads((FURTHER / "amg.json").read_text())["shapes_large/grid8_crop1"]
    picture = np.array(Image.open(FURTHER / "shapes_large.png").convert("RGB"))
    found = SAM2AutomaticMaskGenerator(model, **recorded["options"]).generate(picture)
    assert [ours["crop_box"] for ours in found] == [golden["crop_box"] for golden in recorded["masks"]]


def test_wrong_arguments(model: SAM2Base) -> None:
    with pytest.raises(ValueError, match="output_mode is 'png'"):
        SAM2AutomaticMaskGenerator(model, output_mode="png")
    with pytest.raises(ValueError, match="either points_per_side or point_grids"):
        SAM2AutomaticMaskGenerator(model, points_per_side=None)


def test_the_first_generator_has_its_own_default(model: SAM2Base) -> None:
    sam = Sam(model.engine)
    assert SamAutomaticMaskGenerator(sam).options.least_iou == 0.88
    assert SamAutomaticMaskGenerator(sam, 16, 32, 0.5).options.least_iou == 0.5
    assert SamAutomaticMaskGenerator(sam, pred_iou_thresh=0.7).options.least_iou == 0.7


def test_helpers() -> None:
    masks = torch.zeros(3, 6, 8, dtype=torch.bool)
    masks[0, 1:4, 2:7] = True
    masks[2, 5, 7] = True
    assert amg.batched_mask_to_box(masks).tolist() == [[2, 1, 6, 3], [0, 0, 0, 0], [7, 5, 7, 5]]
    assert amg.box_xyxy_to_xywh(torch.tensor([2, 1, 6, 3])).tolist() == [2, 1, 4, 2]
    runs = amg.mask_to_rle_pytorch(masks)
    assert [run["counts"] for run in runs] == [[13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 8], [48], [47, 1]]
    for run, mask in zip(runs, masks.numpy(), strict=True):
        assert (amg.rle_to_mask(run) == mask).all()
    holed = np.ones((9, 9), bool)
    holed[4, 4] = False
    assert amg.remove_small_regions(holed, 2, "holes")[0].all()
    assert amg.remove_small_regions(holed, 1, "holes")[1] is False
    with pytest.raises(ValueError, match="mode is 'edges'"):
        amg.remove_small_regions(holed, 2, "edges")  # type: ignore[arg-type]
    logits = torch.tensor([[[2.0, 0.5, -0.5, -2.0]]])
    assert amg.calculate_stability_score(logits, 0.0, 1.0).tolist() == pytest.approx([1 / 3])
    assert amg.build_point_grid(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert [len(grid) for grid in amg.build_all_layer_point_grids(8, 2, 2)] == [64, 16, 4]
    boxes, layers = amg.generate_crop_boxes((60, 80), 1, 0.25)
    assert boxes[0] == [0, 0, 80, 60]
    assert layers == [0, 1, 1, 1, 1]


def test_columns_of_masks() -> None:
    first, second = (
        amg.MaskData(boxes=torch.tensor(boxes), names=[*names], scores=np.array(scores))
        for boxes, names, scores in (([[0, 0, 2, 2], [4, 4, 9, 9]], "ab", [0.5, 0.75]), ([[1, 1, 3, 3]], "c", [0.25]))
    )
    data = amg.MaskData()
    data.cat(first)
    data.cat(second)
    data.filter(torch.tensor([True, False, True]))
    data.filter(torch.tensor([1, 0]))
    data.to_numpy()
    assert [(name, list(map(list, column)) if name == "boxes" else list(column)) for name, column in data.items()] == [
        ("boxes", [[1, 1, 3, 3], [0, 0, 2, 2]]),
        ("names", ["c", "a"]),
        ("scores", [0.25, 0.5]),
    ]
    assert [(list(numbers), letters) for numbers, letters in amg.batch_iterator(2, range(3), "abc")] == [
        ([0, 1], "ab"),
        ([2], "c"),
    ]
    with pytest.raises(ValueError, match="columns have 3, 2 entries"):
        next(amg.batch_iterator(2, range(3), "ab"))


def test_what_is_found_in_a_crop_goes_back_into_the_picture() -> None:
    crop, whole = [40, 0, 100, 60], [0, 0, 100, 80]
    boxes = torch.tensor([[5, 30, 30, 35], [30, 5, 35, 35], [25, 25, 60, 35], [25, 25, 35, 45]])
    # Near the crop's left edge; the picture's own upper edge; its own right edge; the crop's lower edge.
    assert amg.is_box_near_crop_edge(boxes, crop, whole).tolist() == [True, False, False, True]
    assert amg.uncrop_boxes_xyxy(boxes, crop)[0].tolist() == [45, 30, 70, 35]
    assert amg.uncrop_points(torch.tensor([[3, 4]]), crop).tolist() == [[43, 4]]
    masks = amg.uncrop_masks(torch.ones(1, 60, 60, dtype=torch.bool), crop, 80, 100)
    assert masks.shape == (1, 80, 100)
    assert masks[0, :60, 40:].all()
    assert masks.sum() == 3600
