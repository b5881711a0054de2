"""What the reference's automatic mask generator found, through the public function: same masks, same order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masklet.image import EverythingOptions, ImagePredictor, segment_everything
from masklet.image.everything import plan_crops, point_grid
from masklet.masks.rle import decode_rle, rle_from_json
from masklet.masks.shape import small_holes, without_islands, without_small_regions
from tests.conftest import GOLDEN

FURTHER = GOLDEN.parents[2] / "shared/golden/image"
"""All recorded files; the repository has those of one picture."""

OPTIONS = {
    "pred_iou_thresh": "least_iou",
    "stability_score_thresh": "least_stability",
    "stability_score_offset": "stability_offset",
    "box_nms_thresh": "most_overlap",
    "crop_nms_thresh": "crop_most_overlap",
    "mask_threshold": "threshold",
    "points_per_side": "points_per_side",
    "points_per_batch": "points_per_batch",
    "crop_n_layers": "crop_layers",
    "crop_n_points_downscale_factor": "crop_points_divisor",
    "use_m2m": "refine",
    "multimask_output": "multimask",
}
"""The reference's names and ours."""


def recorded(folder: Path, name: str) -> Any:
    if not (folder / name).exists():
        pytest.skip(f"needs {name} of the shared golden files, which is not beside this checkout")
    return json.loads((folder / name).read_text())


def ours(options: dict[str, Any], case: str) -> EverythingOptions:
    """On a CPU the reference's option for small regions has no effect; on CUDA it mends low-resolution logits."""
    cells = options.get("min_mask_region_area", 0) if case.endswith("as_on_cuda") else 0
    return EverythingOptions(**{OPTIONS[key]: options[key] for key in options if key in OPTIONS}, min_cells=cells)


def check(predictor: ImagePredictor, folder: Path, case: str) -> None:
    expected = recorded(folder, "amg.json")[case]
    picture = folder / f"{expected['picture']}.png"
    masks = segment_everything(picture, predictor.engine, ours(expected["options"], case))
    assert len(masks) == len(expected["masks"])
    for i, found in enumerate(expected["masks"]):
        x, y, width, height = found["bbox"]  # which ends with the last pixel, not after it
        assert masks.boxes[i].tolist() == [x, y, x + width + 1, y + height + 1]
        assert masks.areas[i] == found["area"]
        assert (masks[i] == decode_rle(rle_from_json(found["segmentation"], masks.size))).all()
        assert masks.points[i].tolist() == found["point_coords"][0]
        assert masks.iou[i] == pytest.approx(found["predicted_iou"], abs=1e-4)
        assert masks.stability[i] == pytest.approx(found["stability_score"], abs=1e-4)


@pytest.mark.parametrize("case", ["photo_cat/grid8", "photo_cat/grid8_m2m"])
def test_the_recorded_masks_are_found(predictor: ImagePredictor, case: str) -> None:
    check(predictor, GOLDEN / "image", case)


CASES = (
    "grid8 grid16 grid16_batch7 grid8_crop1 grid16_crop1_down2 grid8_m2m grid8_single grid8_nms05_thr12 "
    "grid8_threshold0_large_masks grid8_min_area_cpu grid8_min_area_as_on_cuda"
)


@pytest.mark.parametrize("case", CASES.split())
def test_the_recorded_masks_are_found_whatever_the_options(predictor: ImagePredictor, case: str) -> None:
    check(predictor, FURTHER, f"shapes_large/{case}")


def test_run_lengths_are_those_of_coco(predictor: ImagePredictor) -> None:
    expected = recorded(FURTHER, "amg.json")["coco_rle_sample"]
    masks = segment_everything(FURTHER / "shapes_large.png", predictor.engine, ours(expected["options"], ""))
    assert [masks.rle(i).to_json() for i in range(len(masks))] == [m["segmentation"] for m in expected["masks"]]


@pytest.mark.parametrize("name", ["300x260_layers1", "150x226_layers2", "1080x1920_layers1", "101x77_layers2"])
def test_crops_lie_where_they_are_recorded(name: str) -> None:
    boxes, layers = recorded(FURTHER, "amg_helpers.json")["crop_boxes"][name]
    size, count = name.split("_layers")
    height, width = map(int, size.split("x"))
    crops = plan_crops((height, width), int(count), 512 / 1500)
    assert [list(crop.box) for crop in crops] == boxes
    assert [crop.layer for crop in crops] == layers


def test_points_lie_where_they_are_recorded() -> None:
    helpers = recorded(FURTHER, "amg_helpers.json")
    np.testing.assert_array_equal(point_grid(4), helpers["point_grid_4"])
    options = EverythingOptions(points_per_side=8, crop_layers=2, crop_points_divisor=2)
    assert [len(options.grid(layer)) for layer in range(3)] == helpers["layer_grids_8_2_2"]


@pytest.mark.parametrize("number", range(4))
def test_small_regions_go_as_recorded(number: int) -> None:
    least = recorded(FURTHER, "amg_helpers.json")["small_regions"][number]["area_thresh"]
    arrays = np.load(FURTHER / "amg_helpers.npz")
    mask = arrays[f"{number}/mask"]
    assert (mask | small_holes(mask, least - 1) == arrays[f"{number}/holes"]).all()
    assert (without_islands(mask, least) == arrays[f"{number}/islands"]).all()
    assert (without_small_regions(mask, least) == arrays[f"{number}/holes_then_islands"]).all()
