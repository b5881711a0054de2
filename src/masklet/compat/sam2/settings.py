"""What builders of the reference take, names of configuration files, Hydra overrides and files of weights, and what
they make of it: a model and its settings.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, get_type_hints

import torch

from masklet.checkpoints import Model, build_model
from masklet.checkpoints.load import choose_device, load_torch_model
from masklet.checkpoints.registry import find, is_known, list_models
from masklet.compat.border import SettingRefused, WeightsMissing, WeightsRefused, as_reference
from masklet.errors import nearest
from masklet.nn.config import ModelConfig
from masklet.video import TrackingOptions
from masklet.video.policies import PublishedPolicy
from masklet.video.recall import RecallOptions

CONFIGS = {
    f"{family}_hiera_{letter}": f"{family}-{size}"
    for family in ("sam2", "sam2.1")
    for letter, size in (("t", "tiny"), ("s", "small"), ("b+", "base-plus"), ("l", "large"))
} | {"edgetam": "edgetam"}
"""Stem of a configuration file -> the model. EdgeTAM's is that of its own copy of the reference."""

_STEMS = {model: stem for stem, model in CONFIGS.items()}

HF_MODEL_ID_TO_FILENAMES = {
    info.repo: (f"configs/{info.name.split('-')[0]}/{_STEMS[info.name]}.yaml", info.file)
    for info in list_models()
    if info.repo is not None and info.name.startswith("sam2")
}
"""Repository on the hub -> configuration file and file of weights."""

FOLDERS = ("", "configs", "sam2", "sam2.1", "sam2_configs", "sam2.1_configs")
"""Folders in which the reference's files have lain, in one version or another; clients copy them under these names."""


def variant_of(config_file: str) -> str:
    """The model that a configuration file of the reference describes, by its name, or a model of masklet by its own.

    Raises:
        SettingRefused: There is no such file in the reference, as of a project that has its own under the same name.
    """
    if is_known(config_file):
        return find(config_file).name
    path = PurePosixPath(str(config_file).replace("\\", "/"))
    stem = path.name.removesuffix(".yaml").removesuffix(".yml")
    if stem not in CONFIGS:
        raise SettingRefused(
            f"unknown configuration {config_file!r}{nearest(stem, CONFIGS)}; known: {', '.join(CONFIGS)}, and the "
            f"models of masklet.list_models()"
        )
    if path.parent.name not in FOLDERS:
        family, of_a_size, _ = stem.partition("_hiera_")
        raise SettingRefused(
            f"{config_file!r} lies in a folder that the reference does not have, so it may describe another model; for "
            f"the published one give configs/{f'{family}/' if of_a_size else ''}{stem}.yaml"
        )
    return CONFIGS[stem]


@dataclass(frozen=True)
class Settings:
    """Settings of the reference's video model, by its own names, at the values of a model built without
    post-processing.

    `compile_image_encoder` stands for compiling the whole network. Those that only repeat what masklet always does are
    in `ALWAYS`.
    """

    image_size: int | None = None
    dynamic_multimask_via_stability: bool = False
    dynamic_multimask_stability_delta: float = 0.05
    dynamic_multimask_stability_thresh: float = 0.98
    binarize_mask_from_pts_for_mem_enc: bool = False
    fill_hole_area: int = 0
    non_overlap_masks: bool = False
    max_cond_frames_in_attn: int = -1
    memory_temporal_stride_for_eval: int = 1
    max_obj_ptrs_in_encoder: int = 16
    multimask_output_in_sam: bool = True
    multimask_min_pt_num: int = 0
    multimask_max_pt_num: int = 1
    compile_image_encoder: bool = False


IMAGE_POSTPROCESSING = {"dynamic_multimask_via_stability": True}
"""What `apply_postprocessing=True` sets in an image model."""

VIDEO_POSTPROCESSING = {
    **IMAGE_POSTPROCESSING,
    "binarize_mask_from_pts_for_mem_enc": True,
    "fill_hole_area": 8,
}
"""What `apply_postprocessing=True` sets in a video model."""

ALWAYS = {
    "add_all_frames_to_correct_as_cond": True,
    "clear_non_cond_mem_around_input": False,
    "use_mask_input_as_output_without_sam": True,
    "multimask_output_for_tracking": True,
    "directly_add_no_mem_embed": True,
    "only_obj_ptrs_in_the_past_for_eval": True,
    "non_overlap_masks_for_mem_enc": False,
    "offload_output_to_cpu_for_eval": False,
    "trim_past_non_cond_mem_for_eval": True,
}
"""Settings that masklet has at one value only."""


def with_overrides(settings: Settings, overrides: Sequence[str]) -> Settings:
    """Settings with Hydra overrides such as `++model.fill_hole_area=8`.

    Raises:
        SettingRefused: An override of something else, or to a value that cannot be had.
    """
    kinds = {**get_type_hints(Settings), **dict.fromkeys(ALWAYS, bool)}
    changes: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.lstrip("+").partition("=")
        name = key.removeprefix("model.").removeprefix("sam_mask_decoder_extra_args.")
        if name == "_target_":
            continue  # the class of the model is the one that was asked for by its builder
        if not equals or name not in kinds:
            raise SettingRefused(
                f"the override {override!r} has no counterpart in masklet{nearest(name, kinds)}; "
                f"understood are: {', '.join(kinds)}"
            )
        value = _value(override, text, kinds[name])
        if name not in ALWAYS:
            changes[name] = value
        elif value != ALWAYS[name]:
            raise SettingRefused(f"the override {override!r} cannot be had: masklet always has {name}={ALWAYS[name]}")
    return dataclasses.replace(settings, **changes)


def _value(override: str, text: str, kind: Any) -> bool | int | float:
    """The text as a value of the setting's type."""
    try:
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[text.strip().lower()]
        return float(text) if kind is float else int(text)
    except (KeyError, ValueError) as error:
        expected = {bool: "true or false", float: "a number"}.get(kind, "a whole number")
        raise SettingRefused(f"the override {override!r} has the value {text!r}; give {expected}") from error


def tracking_options(settings: Settings, config: ModelConfig) -> TrackingOptions:
    """The same in masklet's words."""
    most = settings.max_cond_frames_in_attn
    policy = PublishedPolicy(
        RecallOptions(
            slots=config.memory_frames,
            stride=settings.memory_temporal_stride_for_eval,
            most_prompted=None if most == -1 else most,
            pointers=settings.max_obj_ptrs_in_encoder,
        ),
        ambiguous=(
            (settings.multimask_min_pt_num, settings.multimask_max_pt_num)
            if settings.multimask_output_in_sam
            else (1, 0)
        ),
        stability_delta=settings.dynamic_multimask_stability_delta,
        least_stability=(
            settings.dynamic_multimask_stability_thresh if settings.dynamic_multimask_via_stability else 0.0
        ),
    )
    return TrackingOptions(
        policy=policy,
        fill_holes=settings.fill_hole_area,
        non_overlapping=settings.non_overlap_masks,
        binarise_prompted=settings.binarize_mask_from_pts_for_mem_enc,
        corrections="published",
    )


def model_and_settings(
    config_file: str,
    ckpt_path: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    mode: str = "eval",
    hydra_overrides_extra: Sequence[str] = (),
    apply_postprocessing: bool = True,
    vos_optimized: bool = False,
    *,
    postprocessing: Mapping[str, Any] = VIDEO_POSTPROCESSING,
    **_: Any,
) -> tuple[Model, Settings]:
    """What the builders make of their arguments; any others are passed over, as the reference does.

    Args:
        config_file: Such as "configs/sam2.1/sam2.1_hiera_t.yaml", or a name of masklet, such as "nano".
        ckpt_path: File of weights; None for random ones.
        device: Where to run; None for the best there is.
        mode: "eval"; models are trained by masklet's own trainer.
        hydra_overrides_extra: Overrides such as "++model.image_size=512".
        apply_postprocessing: Whether `postprocessing` is set, which is that of videos if not given.
        vos_optimized: Whether the network is compiled.

    Raises:
        SettingRefused: Unknown configuration, override or mode (a ValueError).
        WeightsMissing: There is no such file (a FileNotFoundError).
        WeightsRefused: The file holds another model (a RuntimeError).
    """
    if mode != "eval":
        raise SettingRefused(f"mode is {mode!r}; the drop-in is for 'eval', models are trained with masklet's trainer")
    settings = with_overrides(Settings(**(postprocessing if apply_postprocessing else {})), hydra_overrides_extra)
    if vos_optimized:
        settings = dataclasses.replace(settings, compile_image_encoder=True)
    name = variant_of(config_file)
    if ckpt_path is None and name in CONFIGS.values():
        changes = {} if settings.image_size is None else {"image_size": settings.image_size}
        with as_reference():
            model = build_model(name, **changes)
            model.move(choose_device(device))
        return model, settings
    ckpt_path = name if ckpt_path is None else ckpt_path  # a model of masklet's own brings its weights
    known = isinstance(ckpt_path, str) and is_known(ckpt_path)
    if not known and not os.path.exists(ckpt_path):
        raise WeightsMissing(f"there is no file of weights at {os.fspath(ckpt_path)}")
    with as_reference():
        model = load_torch_model(
            ckpt_path, device=device, compile=settings.compile_image_encoder, image_size=settings.image_size
        )
    held = model.config.name.partition(":")[0]  # a model of another side says so in its name
    if held != name:
        raise WeightsRefused(
            f"{os.fspath(ckpt_path)} holds {held} and the configuration {config_file} is that of {name}; "
            f"give the configuration {_STEMS.get(held, 'of that model')}"
        )
    return model, settings


def from_hub(model_id: str) -> tuple[str, str]:
    """What stands for the configuration of a model of the hub, such as "facebook/sam2.1-hiera-tiny", and what its
    weights load by: its name does for both.

    Raises:
        SettingRefused: There is no such model (a ValueError).
    """
    if not is_known(model_id):
        known = ", ".join(HF_MODEL_ID_TO_FILENAMES)
        raise SettingRefused(f"unknown model {model_id!r}{nearest(model_id, HF_MODEL_ID_TO_FILENAMES)}; known: {known}")
    return model_id, model_id
