"""Names, settings and calls that the reference knows or refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from masklet.checkpoints import Model, save_model
from masklet.compat.prompts import said
from masklet.compat.sam1 import sam_model_registry
from masklet.compat.sam2.build_sam import (
    HF_MODEL_ID_TO_FILENAMES,
    build_sam2,
    build_sam2_hf,
    build_sam2_video_predictor,
)
from masklet.compat.sam2.configs import Settings, tracking_options, variant_of, with_overrides
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor
from masklet.compat.sam2.sam2_video_predictor import SAM2VideoPredictor
from masklet.compat.sam2.utils.transforms import SAM2Transforms
from masklet.errors import MaskletError, PromptError
from masklet.image.picture import picture_tensor
from tests.conftest import GOLDEN, small_network

FRAMES = str(GOLDEN / "video/frames")
SMALLER = ["++model.image_size=256"]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("golden-small", small_network())


@pytest.fixture
def predictor(model: Model) -> SAM2VideoPredictor:
    return SAM2VideoPredictor(model)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("configs/sam2.1/sam2.1_hiera_t.yaml", "sam2.1-tiny"),
        ("sam2_hiera_l.yaml", "sam2-large"),
        ("configs/sam2/sam2_hiera_b+.yaml", "sam2-base-plus"),
        ("//home/me/sam2/configs/sam2.1/sam2.1_hiera_s", "sam2.1-small"),
    ],
)
def test_configurations_by_the_names_of_their_files(config: str, name: str) -> None:
    assert variant_of(config) == name


def test_an_unknown_configuration_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"nearest: sam2\.1_hiera_t"):
        build_sam2("configs/sam2.1/sam2.1_hiera_tiny.yaml")


def test_every_repository_of_the_hub_has_its_configuration_and_file() -> None:
    assert len(HF_MODEL_ID_TO_FILENAMES) == 8
    assert HF_MODEL_ID_TO_FILENAMES["facebook/sam2.1-hiera-base-plus"] == (
        "configs/sam2.1/sam2.1_hiera_b+.yaml",
        "sam2.1_hiera_base_plus.pt",
    )
    with pytest.raises(ValueError, match="nearest: facebook/sam2-hiera-tiny"):
        build_sam2_hf("facebook/sam2-hiera-tinny")


def test_overrides_become_options(model: Model) -> None:
    settings = with_overrides(
        Settings(),
        [
            "++model.fill_hole_area=8",
            "++model.non_overlap_masks=true",
            "model.max_cond_frames_in_attn=4",
            "++model.sam_mask_decoder_extra_args.dynamic_multimask_via_stability=true",
            "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh=0.9",
            "++model.add_all_frames_to_correct_as_cond=true",
            "++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor",
        ],
    )
    options = tracking_options(settings, model.config)
    assert options.fill_holes == 8
    assert options.non_overlapping
    assert options.policy.options.most_prompted == 4
    assert options.policy.least_stability == 0.9
    assert tracking_options(Settings(), model.config).policy.least_stability == 0


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("++model.fill_hole_aera=8", "nearest: fill_hole_area"),
        ("++model.memory_attention.num_layers=2", "no counterpart"),
        ("++model.fill_hole_area=many", "give a whole number"),
        ("++model.non_overlap_masks=maybe", "give true or false"),
        ("++model.add_all_frames_to_correct_as_cond=false", "masklet always has"),
        ("++model.fill_hole_area", "no counterpart"),
    ],
)
def test_other_overrides_are_refused_by_name(override: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        build_sam2_video_predictor("sam2_hiera_t.yaml", hydra_overrides_extra=[override])
    assert override in str(refused.value)


def test_weights_that_are_missing_or_of_another_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        build_sam2("sam2_hiera_t.yaml", str(tmp_path / "sam2_hiera_tiny.pt"))
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(RuntimeError):
        build_sam2("sam2_hiera_t.yaml", str(tmp_path / "text.pt"))
    torch.manual_seed(0)
    save_model(build_sam2("sam2_hiera_t.yaml", hydra_overrides_extra=SMALLER).engine, tmp_path / "tiny.safetensors")
    with pytest.raises(RuntimeError, match=r"holds sam2-tiny and the configuration sam2_hiera_s\.yaml"):
        build_sam2("sam2_hiera_s.yaml", str(tmp_path / "tiny.safetensors"))
    assert build_sam2("sam2_hiera_t.yaml", str(tmp_path / "tiny.safetensors")).image_size == 256
    larger = ["++model.image_size=512"]
    weights = str(tmp_path / "tiny.safetensors")
    assert build_sam2("sam2_hiera_t.yaml", weights, hydra_overrides_extra=larger).image_size == 512


def test_weights_of_the_first_segment_anything_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sam_model_registry["vit_b"](checkpoint=tmp_path / "sam_vit_b.pth")
    torch.save({"image_encoder.pos_embed": torch.zeros(2)}, tmp_path / "sam_vit_b.pth")
    with pytest.raises(RuntimeError, match="weights of the first Segment Anything do not fit"):
        sam_model_registry["vit_b"](checkpoint=tmp_path / "sam_vit_b.pth")


def test_a_state_belongs_to_its_predictor(model: Model, predictor: SAM2VideoPredictor) -> None:
    state = SAM2VideoPredictor(model).init_state(FRAMES)
    with pytest.raises(RuntimeError, match="another predictor"):
        predictor.add_new_points_or_box(state, 0, 1, points=[[3, 3]], labels=[1])
    with pytest.raises(RuntimeError, match="give what init_state returned"):
        predictor.reset_state({"obj_ids": []})  # type: ignore[arg-type]


def test_calls_that_the_reference_refuses(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="nothing"):
        predictor.init_state(str(tmp_path / "nothing.mp4"))
    state = predictor.init_state(FRAMES)
    with pytest.raises(RuntimeError, match="no points, boxes or masks"):
        predictor.propagate_in_video(state)
    with pytest.raises(ValueError, match="must be given together"):
        predictor.add_new_points_or_box(state, 0, 1, points=[[3, 3]])
    with pytest.raises(ValueError, match="empty"):
        predictor.add_new_points_or_box(state, 0, 1)
    with pytest.raises(ValueError, match="before all points"):
        predictor.add_new_points_or_box(state, 0, 1, box=[1, 1, 9, 9], clear_old_points=False)
    assert state["obj_ids"] == []
    with pytest.raises(RuntimeError, match="no object 7"):
        predictor.remove_object(state, 7, strict=True)
    assert predictor.remove_object(state, 7) == ([], [])


def test_a_picture_is_set_before_it_is_asked(model: Model) -> None:
    predictor = SAM2ImagePredictor(SAM2Base(model))
    with pytest.raises(RuntimeError, match="an image must be set"):
        predictor.predict(box=[1, 1, 9, 9])
    with pytest.raises(RuntimeError, match="no batch"):
        predictor.predict_batch()
    predictor.set_image_batch([np.zeros((20, 30, 3), np.uint8)] * 2)
    with pytest.raises(RuntimeError, match="call predict_batch"):
        predictor.predict(box=[1, 1, 9, 9])


def test_a_correction_always_counts(predictor: SAM2VideoPredictor) -> None:
    """The reference forgets it at the next propagation."""
    state = predictor.init_state(FRAMES)
    predictor.add_new_points_or_box(state, 0, 1, points=[[135, 27]], labels=[1])
    first = {frame: masks for frame, _, masks in predictor.propagate_in_video(state, max_frame_num_to_track=4)}
    _, _, corrected = predictor.add_new_points_or_box(state, 3, 1, points=[[20, 100]], labels=[1])
    second = {frame: masks for frame, _, masks in predictor.propagate_in_video(state, max_frame_num_to_track=4)}
    assert torch.equal(second[3], corrected)
    assert not torch.equal(second[3], first[3])
    assert not torch.equal(second[4], first[4])


def test_dropping_a_state_closes_its_video(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(FRAMES)
    tracker = state.tracker
    del state
    with pytest.raises(MaskletError, match="closed"):
        tracker.add_points(frame=0, object=1, points=[(3, 3)])


def test_transforms_are_those_of_the_predictor(model: Model) -> None:
    image = np.array(Image.open(GOLDEN / "image/photo_cat.png").convert("RGB"))
    transforms = SAM2Transforms(model.config.image_size)
    assert torch.equal(transforms(image), picture_tensor(image, model)[0])
    square = transforms.transform_boxes(torch.tensor([[0.0, 0.0, 226.0, 150.0]]), normalize=True, orig_hw=(150, 226))
    assert square.tolist() == [[[0.0, 0.0], [192.0, 192.0]]]
    assert transforms.postprocess_masks(torch.zeros(2, 3, 48, 48), (150, 226)).shape == (2, 3, 150, 226)


def test_labels_of_corners_and_padding() -> None:
    prompt = said([[1, 2], [5, 6], [8, 9], [0, 0]], [2, 3, 1, -1], None, (10, 10))
    assert prompt.box.tolist() == [1, 2, 5, 6]
    assert prompt.points.tolist() == [[8, 9]]
    assert prompt.labels.tolist() == [1]
    assert said(None, None, torch.tensor([[-3.0, 0.0, 12.0, 9.0]]), (10, 10)).box.tolist() == [0, 0, 10, 9]
    assert said([[0.5, 0.25]], [1], None, (20, 40), in_pixels=False).points.tolist() == [[20, 5]]
    with pytest.raises(PromptError, match="one point of label 2 and one of label 3"):
        said([[1, 2]], [2], None, (10, 10))
    with pytest.raises(PromptError, match="2 labels for 1 points"):
        said([[1, 2]], [1, 0], None, (10, 10))
