"""Names, settings and calls that the reference knows or refuses."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from masklet.checkpoints import Model, save_model
from masklet.checkpoints.registry import config_of
from masklet.compat import sam1 as segment_anything
from masklet.compat.border import prompt_of
from masklet.compat.sam1 import sam_model_registry
from masklet.compat.sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from masklet.compat.sam2.build_sam import (
    HF_MODEL_ID_TO_FILENAMES,
    build_sam2,
    build_sam2_hf,
    build_sam2_video_predictor,
    build_sam2_video_predictor_hf,
    instantiated,
)
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor
from masklet.compat.sam2.sam2_video_predictor import SAM2VideoPredictor
from masklet.compat.sam2.settings import CONFIGS, Settings, tracking_options, variant_of, with_overrides
from masklet.compat.sam2.utils.transforms import SAM2Transforms
from masklet.errors import MaskletError
from masklet.image.picture import picture_tensor
from masklet.image.predictor import no_memories
from masklet.nn import PromptTokens
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


@pytest.mark.parametrize("stem", CONFIGS)
def test_files_of_configurations_are_there_and_say_what_they_stand_for(stem: str) -> None:
    """As Hydra's `compose` and `instantiate` read them."""
    family, of_a_size, _ = stem.partition("_hiera_")
    name = f"configs/{f'{family}/' if of_a_size else ''}{stem}.yaml"
    said = yaml.safe_load(resources.files("masklet.compat.sam2").joinpath(name).read_text())["model"]
    assert said.pop("_target_") == f"{instantiated.__module__}.{instantiated.__name__}"
    assert said == {"config_file": CONFIGS[stem], "image_size": config_of(CONFIGS[stem]).image_size}


def test_overrides_of_a_composed_configuration() -> None:
    extra = {"dynamic_multimask_via_stability": True, "dynamic_multimask_stability_delta": 0.1}
    model = instantiated("sam2.1-tiny", image_size=256, sam_mask_decoder_extra_args=extra)
    assert isinstance(model, SAM2Base)
    assert model.image_size == 256
    assert model.sam_mask_decoder.dynamic_multimask_stability_delta == 0.1
    with pytest.raises(ValueError, match="num_maskmem=9' has no counterpart"):
        instantiated("sam2.1-tiny", num_maskmem=9)


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


def test_weights_that_do_not_fit_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sam_model_registry["vit_b"](checkpoint=tmp_path / "sam_vit_b.pth")
    torch.save({"image_encoder.pos_embed": torch.zeros(2)}, tmp_path / "sam_vit_b.pth")
    with pytest.raises(RuntimeError, match=r"leave checkpoint out for sam2\.1-small"):
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


def answer_to(predictor: SAM2ImagePredictor, points: list[list[float]], labels: list[int]) -> torch.Tensor:
    """Logits (4, S/4, S/4) of the network alone, for tokens in pixels of the picture of the predictor."""
    picture, engine = predictor._pictures[0], predictor.model.engine
    height, width = picture.size
    places = torch.tensor([points]) / torch.tensor([width, height]) * engine.config.image_size
    features = engine.attend_memory(picture.levels.stride16, no_memories(engine))
    return engine.decode_masks(features, picture.levels, PromptTokens(places, torch.tensor([labels]))).logits[0]


@pytest.fixture
def shown(model: Model) -> SAM2ImagePredictor:
    predictor = SAM2ImagePredictor(SAM2Base(model))
    predictor.set_image(np.array(Image.open(GOLDEN / "image/photo_cat.png").convert("RGB")))  # 226 x 150
    return predictor


@pytest.mark.parametrize(
    ("prompt", "points", "labels"),
    [
        ({"box": [60, 40, 60, 40]}, [[60, 40], [60, 40]], [2, 3]),  # without area
        ({"box": [90, 80, 30, 20]}, [[90, 80], [30, 20]], [2, 3]),  # from the wrong corner
        ({"box": [300, 200, 400, 260]}, [[300, 200], [400, 260]], [2, 3]),  # outside
        ({"box": [-20, -10, 90, 80]}, [[-20, -10], [90, 80]], [2, 3]),  # in part
        ({"point_coords": [[50, 60], [0, 0]], "point_labels": [1, -1]}, [[50, 60], [0, 0]], [1, -1]),  # padded
        ({"point_coords": [[30, 20], [90, 80]], "point_labels": [2, 3]}, [[30, 20], [90, 80]], [2, 3]),
        ({"point_coords": [[900, -60]], "point_labels": [0]}, [[900, -60]], [0]),
    ],
)
def test_prompts_are_answered_as_they_are(
    shown: SAM2ImagePredictor, prompt: dict[str, object], points: list[list[float]], labels: list[int]
) -> None:
    _, _, logits = shown.predict(**prompt)
    expected = answer_to(shown, [*points, [0, 0]], [*labels, -1])[1:].clamp(-32, 32)
    assert np.allclose(logits, expected, atol=1e-4)


def test_a_box_of_a_video_is_answered_as_it_is(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(FRAMES)
    for box in ([30, 30, 30, 60], [90, 80, 30, 20], [500, 500, 600, 600]):
        _, ids, masks = predictor.add_new_points_or_box(state, 0, 1, box=box)
        assert ids == [1]
        assert masks.shape == (1, 1, 120, 160)


def test_one_earlier_answer_for_many_boxes(shown: SAM2ImagePredictor) -> None:
    _, _, earlier = shown.predict(box=[30, 20, 90, 80], multimask_output=False)
    boxes = np.array([[30, 20, 90, 80], [100, 40, 200, 140]])
    together = shown.predict(box=boxes, mask_input=earlier, multimask_output=False)[2]
    alone = [shown.predict(box=box, mask_input=earlier, multimask_output=False)[2] for box in boxes]
    assert np.allclose(together, np.stack(alone), atol=1e-4)


def test_no_prompt_at_all(shown: SAM2ImagePredictor) -> None:
    for prompt in ({}, {"box": np.zeros((0, 4))}):
        with pytest.raises(AssertionError, match="there is no prompt"):
            shown.predict(**prompt)
    with pytest.raises(ValueError, match="boxes of 2"):
        shown.predict([[1, 2]], [1], box=np.array([[1, 2, 3, 4], [1, 2, 3, 4]]), mask_input=np.zeros((3, 48, 48)))
    with pytest.raises(ValueError, match="a label is 7"):
        shown.predict([[1, 2]], [7])
    with pytest.raises(ValueError, match="2 labels for 1 points"):
        shown.predict([[1, 2]], [1, 0])


def test_shares_of_the_picture_are_scaled() -> None:
    prompt = prompt_of([[0.5, 0.25]], [1], None, (20, 40), in_pixels=False)
    assert prompt.points == ((20, 5),)


def test_arguments_that_the_reference_takes(model: Model) -> None:
    base = SAM2Base(model)
    SAM2ImagePredictor(base, max_hole_area=8.0, max_sprinkle_area=1.0, device="cuda")
    SAM2AutomaticMaskGenerator(base, points_per_side=2, device="cuda")
    predictor = SAM2ImagePredictor.from_pretrained("nano", mask_threshold=0.5, device="cpu")
    assert predictor.mask_threshold == 0.5
    assert build_sam2("nano", None, "cpu", reinstate=True).engine.name == "nano"
    assert build_sam2_video_predictor_hf("nano", device="cpu").engine.name == "nano"


def test_holes_and_islands_of_a_picture(shown: SAM2ImagePredictor) -> None:
    prompt = {"point_coords": [[50, 60]], "point_labels": [1], "multimask_output": False, "return_logits": True}
    before, _, kept = shown.predict(**prompt)
    shown.max_hole_area, shown.max_sprinkle_area = 48.0 * 48, 0.0
    filled, _, low = shown.predict(**prompt)
    assert np.array_equal(low, kept)  # low-resolution logits stay as they were
    assert filled.min() >= before.min()
    assert (filled > 0).all()  # every part of the background is small enough
    shown.max_hole_area, shown.max_sprinkle_area = 0.0, 48.0 * 48
    emptied, _, _ = shown.predict(**prompt)
    assert not (emptied > 0).any()


def test_without_postprocessing_the_single_mask_stays(shown: SAM2ImagePredictor) -> None:
    prompt = {"point_coords": [[50, 60], [80, 90]], "point_labels": [1, 0], "multimask_output": False}
    candidates = answer_to(shown, [[50, 60], [80, 90], [0, 0]], [1, 0, -1]).clamp(-32, 32)
    assert not np.allclose(shown.predict(**prompt)[2], candidates[:1], atol=1e-4)  # these weights are not stable
    shown.model.settings = Settings()
    assert np.allclose(shown.predict(**prompt)[2], candidates[:1], atol=1e-4)


def test_configurations_of_other_projects_are_refused() -> None:
    with pytest.raises(ValueError, match=r"may describe another model; .* give configs/sam2\.1/sam2\.1_hiera_t\.yaml"):
        build_sam2_video_predictor("configs/samurai/sam2.1_hiera_t.yaml")


def test_a_device_counts_without_weights() -> None:
    assert build_sam2("sam2_hiera_t.yaml", device="cpu", hydra_overrides_extra=SMALLER).device.type == "cpu"
    with pytest.raises(RuntimeError, match="device 'cuda:77' is not here"):
        build_sam2("sam2_hiera_t.yaml", device="cuda:77", hydra_overrides_extra=SMALLER)


def test_going_backward_from_the_first_frame_gives_nothing(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(FRAMES)
    predictor.add_new_points_or_box(state, 0, 1, points=[[135, 27]], labels=[1])
    assert list(predictor.propagate_in_video(state, reverse=True)) == []
    assert list(predictor.propagate_in_video(state, start_frame_idx=0, reverse=True)) == []
    assert list(predictor.propagate_in_video(state, start_frame_idx=5000)) == []
    frames = [frame for frame, _, _ in predictor.propagate_in_video(state, start_frame_idx=2, reverse=True)]
    assert frames == [2, 1, 0]


def test_a_mask_of_another_size_is_scaled(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(FRAMES)
    large = np.zeros((240, 320), bool)
    large[40:120, 60:160] = True
    _, _, from_large = predictor.add_new_mask(state, 0, 1, large)
    _, _, exact = predictor.add_new_mask(predictor.init_state(FRAMES), 0, 1, large[::2, ::2])
    assert torch.equal(from_large, exact)


def test_prompts_in_half_precision_are_taken(predictor: SAM2VideoPredictor) -> None:
    inside = torch.zeros(120, 160)
    inside[20:60, 30:80] = 1
    for dtype in (torch.float16, torch.bfloat16):
        state = predictor.init_state(FRAMES)
        _, _, found = predictor.add_new_mask(state, 0, 1, inside.to(dtype))
        assert found.shape == (1, 1, 120, 160)
        points, labels = torch.tensor([[40, 30]], dtype=dtype), torch.tensor([1], dtype=dtype)
        predictor.add_new_points_or_box(state, 1, 1, points=points, labels=labels)
        assert state.tracker.tracks[1].prompts[1].points == ((40.0, 30.0),)


def test_builders_of_the_first_segment_anything(tmp_path: Path, model: Model) -> None:
    save_model(model, tmp_path / "small.safetensors")
    assert segment_anything.build_sam is segment_anything.build_sam_vit_h
    for build in (segment_anything.build_sam, segment_anything.build_sam_vit_l, segment_anything.build_sam_vit_b):
        assert build(checkpoint=tmp_path / "small.safetensors").image_size == model.config.image_size


@pytest.mark.parametrize("can_link", [True, False])
def test_a_folder_may_be_deleted_after_it_was_opened(
    predictor: SAM2VideoPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_link: bool
) -> None:
    if not can_link:
        monkeypatch.setattr(os, "link", refuse_link)
    folder = tmp_path / "frames"
    shutil.copytree(FRAMES, folder)
    state = predictor.init_state(str(folder))
    shutil.rmtree(folder)
    predictor.add_new_points_or_box(state, 0, 1, points=[[135, 27]], labels=[1])
    found = list(predictor.propagate_in_video(state, max_frame_num_to_track=3))
    whole = predictor.init_state(FRAMES)
    predictor.add_new_points_or_box(whole, 0, 1, points=[[135, 27]], labels=[1])
    for ours, theirs in zip(found, predictor.propagate_in_video(whole, max_frame_num_to_track=3), strict=True):
        assert torch.equal(ours[2], theirs[2])
    kept = Path(state.tracker.source.path)
    assert kept.exists()
    del state
    assert not kept.exists()


def refuse_link(*_: object) -> None:
    raise OSError(errno.EXDEV, "another disk")


def test_a_folder_of_links_that_lead_on_from_it(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    shutil.copytree(FRAMES, tmp_path / "raw")
    (tmp_path / "frames").mkdir()
    for file in (tmp_path / "raw").iterdir():
        (tmp_path / "frames" / file.name).symlink_to(Path("../raw", file.name))
    assert predictor.init_state(tmp_path / "frames")["num_frames"] == 20


def test_a_folder_with_a_file_that_cannot_be_linked(
    predictor: SAM2VideoPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, done = os.link, []

    def only_once(source: Path, target: Path) -> None:
        if done:
            raise PermissionError(errno.EPERM, "the file of somebody else")
        done.append(link(source, target))

    monkeypatch.setattr(os, "link", only_once)
    shutil.copytree(FRAMES, tmp_path / "frames")
    assert predictor.init_state(tmp_path / "frames")["num_frames"] == 20


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_a_folder_that_is_no_video_leaves_nothing_behind(
    predictor: SAM2VideoPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in ("temporary", "frames"):
        (tmp_path / name).mkdir()
    if content is not None:
        (tmp_path / "frames" / content).write_text("no picture")
    with pytest.raises(RuntimeError, match="holds no pictures"):
        predictor.init_state(tmp_path / "frames")
    assert not list((tmp_path / "temporary").iterdir())


def test_insides_that_clients_read(shown: SAM2ImagePredictor) -> None:
    assert shown._is_image_set
    assert shown._orig_hw == [(150, 226)]
    features, side = shown._features, shown.model.image_size
    assert features is not None
    assert torch.equal(features["image_embed"], shown.get_image_embedding())
    assert [tuple(level.shape[2:]) for level in features["high_res_feats"]] == [(side // 4,) * 2, (side // 8,) * 2]
    assert shown._transforms.resolution == side
    shown.reset_predictor()
    assert not shown._is_image_set
    assert shown._features is None
