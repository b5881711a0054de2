"""The recorded runs of the reference again, through the drop-in's names: its types, shapes and order of masks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from masklet.checkpoints import Model
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor
from masklet.compat.sam2.sam2_video_predictor import SAM2VideoPredictor
from masklet.compat.sam2.settings import VIDEO_POSTPROCESSING, Settings
from tests.conftest import GOLDEN, read_arrays, read_json, small_network

PICTURES = read_json("image/predictor.json")

PADDED = "shapes_small/batch_of_3_point_sets"
"""Here the reference's padding of unequal prompts has an effect; ours has none. Objects 0 and 2 can be compared."""

EARLIER = {"photo_cat": 1, "shapes_small": 2}
"""Which of the masks of the first click was given as a prompt."""

VIDEOS: dict[str, dict[str, Any]] = {
    "b_two_objects_click_and_box": {},
    "c_mask_prompt": {},
    "d2_correction_frame8_as_cond": {},
    "e_middle_forward_then_reverse": {},
    "h_fill_hole_8_as_on_cuda_8conn": {"fill_hole_area": 8},
    "h_max_cond_2": {"max_cond_frames_in_attn": 2},
    "h_max_obj_ptrs_4": {"max_obj_ptrs_in_encoder": 4},
    "h_no_binarize": {"binarize_mask_from_pts_for_mem_enc": False},
    "h_no_multimask_in_sam": {"multimask_output_in_sam": False},
    "h_non_overlap_masks": {"non_overlap_masks": True},
    "h_stride3": {"memory_temporal_stride_for_eval": 3},
    "i_object_disappears": {},
    "j_stop_generator_early_then_continue": {},
}
"""Recorded runs, with their options in the reference's own words."""


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("golden-small", small_network())


@pytest.fixture(scope="module")
def predictors(model: Model) -> dict[str, SAM2ImagePredictor]:
    made = {name: SAM2ImagePredictor(SAM2Base(model)) for name in ("photo_cat", "shapes_small")}
    for name, predictor in made.items():
        predictor.set_image(np.array(Image.open(GOLDEN / f"image/{name}.png").convert("RGB")))
    return made


@pytest.mark.parametrize("case", [case for case in PICTURES if case != PADDED])
def test_pictures(predictors: dict[str, SAM2ImagePredictor], case: str) -> None:
    recorded, arrays = PICTURES[case], read_arrays("image/predictor.npz").arrays
    name = recorded["picture"]
    arguments = {key: np.array(value) if isinstance(value, list) else value for key, value in recorded["args"].items()}
    if "mask_input" in recorded:
        arguments["mask_input"] = arrays[f"{name}/click_multi/low_res_logits"][EARLIER[name]][None]
    masks, scores, logits = predictors[name].predict(**arguments)
    assert masks.dtype == np.float32
    assert masks.shape == tuple(recorded["masks_shape"])
    np.testing.assert_allclose(scores, arrays[f"{case}/ious"], atol=1e-4, rtol=0)
    packed = arrays[f"{case}/masks_packed"]
    golden = np.unpackbits(packed, axis=-1)[..., : masks.shape[-1]].astype(bool)
    assert ((masks > 0) != golden).sum(axis=(-1, -2)).max() <= 3
    if f"{case}/low_res_logits" in arrays:
        np.testing.assert_allclose(logits, arrays[f"{case}/low_res_logits"], atol=2e-3, rtol=0)


@pytest.mark.parametrize("run", VIDEOS)
def test_videos(model: Model, run: str) -> None:
    recorded, arrays = read_json(f"video/{run}.json"), read_arrays(f"video/{run}.npz").arrays
    settings = Settings(**{**VIDEO_POSTPROCESSING, "fill_hole_area": 0, **VIDEOS[run]})
    predictor = SAM2VideoPredictor(model, settings)
    pixels, limit = (40, 0.2) if run.startswith("d2") else (3, 1e-2)
    state = predictor.init_state(str(GOLDEN / "video/frames"))
    with state.tracker:
        for number, call in enumerate(recorded["calls"]):
            for frame, objects, masks in answers(predictor, state, call):
                place = f"call{number:02d}" + (f"/f{frame:02d}" if call["op"] == "propagate" else "")
                assert masks.shape == (len(objects), 1, 120, 160)
                assert masks.dtype == torch.float32
                golden = np.unpackbits(arrays[f"{place}/video_masks_packed"], axis=-1)[..., :160].astype(bool)
                assert ((masks[:, 0].numpy() > 0) != golden).sum(axis=(1, 2)).max() <= pixels, place
                every8 = masks[:, 0, ::8, ::8].numpy()
                np.testing.assert_allclose(every8, arrays[f"{place}/video_logits_every8"], atol=limit, rtol=0)


def answers(predictor: SAM2VideoPredictor, state: Any, call: dict[str, Any]) -> Any:
    """One recorded call."""
    arguments = {key: value for key, value in call.items() if key not in ("op", "stop_after")}
    if call["op"] == "points_or_box":
        return [predictor.add_new_points_or_box(state, **arguments)]
    if call["op"] == "mask":
        where = arguments.pop("mask")
        packed = read_arrays("video/clip_masks.npz").arrays["masks"][where["frame"], where["object"]]
        mask = np.unpackbits(packed, axis=-1)[:, :160].astype(bool)
        return [predictor.add_new_mask(state, **arguments, mask=mask)]
    return itertools.islice(predictor.propagate_in_video(state, **arguments), call.get("stop_after"))
