"""Names of the reference's configuration files, and the Hydra overrides in common use."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, get_type_hints

from masklet.checkpoints.registry import find, is_known
from masklet.compat.failures import SettingRefused
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
    kinds = get_type_hints(Settings)
    changes: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.lstrip("+").partition("=")
        name = key.removeprefix("model.").removeprefix("sam_mask_decoder_extra_args.")
        if name == "_target_":
            continue  # the class of the model is the one that was asked for by its builder
        if not equals or (name not in kinds and name not in ALWAYS):
            raise SettingRefused(
                f"the override {override!r} has no counterpart in masklet{nearest(name, [*kinds, *ALWAYS])}; "
                f"understood are: {', '.join([*kinds, *ALWAYS])}"
            )
        value = _value(override, text, bool if name in ALWAYS else kinds[name])
        if name in ALWAYS and value != ALWAYS[name]:
            raise SettingRefused(f"the override {override!r} cannot be had: masklet always has {name}={ALWAYS[name]}")
        if name in kinds:
            changes[name] = value
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
