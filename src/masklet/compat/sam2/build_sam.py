"""The builders of the reference: names of configurations and files of weights in, models out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from masklet.checkpoints import Model, build_model, load_model
from masklet.checkpoints.registry import config_of, is_known, list_models
from masklet.compat.failures import SettingRefused, WeightsMissing, WeightsRefused, as_reference
from masklet.compat.sam2.configs import (
    CONFIGS,
    IMAGE_POSTPROCESSING,
    VIDEO_POSTPROCESSING,
    Settings,
    variant_of,
    with_overrides,
)
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.sam2_video_predictor import SAM2VideoPredictor
from masklet.errors import nearest

_STEMS = {model: stem for stem, model in CONFIGS.items()}

HF_MODEL_ID_TO_FILENAMES = {
    info.repo: (f"configs/{info.name.split('-')[0]}/{_STEMS[info.name]}.yaml", info.file)
    for info in list_models()
    if info.repo is not None
}
"""Repository on the hub -> configuration file and file of weights."""


def build_sam2(
    config_file: str,
    ckpt_path: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    mode: str = "eval",
    hydra_overrides_extra: Sequence[str] = (),
    apply_postprocessing: bool = True,
) -> SAM2Base:
    """A model for pictures.

    Args:
        config_file: Such as "configs/sam2.1/sam2.1_hiera_t.yaml".
        ckpt_path: File of weights; None for random ones.
        device: Where to run; None for the best there is.
        mode: "eval"; models are trained by masklet's own trainer.
        hydra_overrides_extra: Overrides such as "++model.image_size=512".
        apply_postprocessing: Whether an unstable single mask gives way to the best of three.

    Raises:
        SettingRefused: Unknown configuration, override or mode (a ValueError).
        WeightsMissing: There is no such file (a FileNotFoundError).
        WeightsRefused: The file holds another model (a RuntimeError).
    """
    settings = _settings(IMAGE_POSTPROCESSING if apply_postprocessing else {}, hydra_overrides_extra, mode)
    return SAM2Base(_model(config_file, ckpt_path, device, settings), settings)


def build_sam2_video_predictor(
    config_file: str,
    ckpt_path: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    mode: str = "eval",
    hydra_overrides_extra: Sequence[str] = (),
    apply_postprocessing: bool = True,
    vos_optimized: bool = False,
) -> SAM2VideoPredictor:
    """A predictor for videos. As `build_sam2`; `vos_optimized` compiles the network."""
    overrides = [*hydra_overrides_extra, *(["++model.compile_image_encoder=true"] if vos_optimized else [])]
    settings = _settings(VIDEO_POSTPROCESSING if apply_postprocessing else {}, overrides, mode)
    return SAM2VideoPredictor(_model(config_file, ckpt_path, device, settings), settings)


def build_sam2_hf(model_id: str, **arguments: Any) -> SAM2Base:
    """A model for pictures from the hub, such as "facebook/sam2.1-hiera-tiny"; downloaded if it is not here. Takes the
    arguments of `build_sam2`."""
    config_file, ckpt_path = _from_hub(model_id)
    return build_sam2(config_file, ckpt_path, **arguments)


def build_sam2_video_predictor_hf(model_id: str, **arguments: Any) -> SAM2VideoPredictor:
    """A predictor for videos from the hub. Takes the arguments of `build_sam2_video_predictor`."""
    config_file, ckpt_path = _from_hub(model_id)
    return build_sam2_video_predictor(config_file, ckpt_path, **arguments)


def _settings(postprocessing: Mapping[str, Any], overrides: Sequence[str], mode: str) -> Settings:
    if mode != "eval":
        raise SettingRefused(f"mode is {mode!r}; the drop-in is for 'eval', models are trained with masklet's trainer")
    return with_overrides(Settings(**postprocessing), overrides)


def _model(
    config_file: str, ckpt_path: str | os.PathLike[str] | None, device: str | torch.device | None, settings: Settings
) -> Model:
    """The weights of a file, or random ones, in the network of a configuration."""
    name = variant_of(config_file)
    if ckpt_path is None:
        changes = {} if settings.image_size is None else {"image_size": settings.image_size}
        with as_reference():
            model = build_model(name, **changes)
        return model
    known = isinstance(ckpt_path, str) and is_known(ckpt_path)
    if not known and not os.path.exists(ckpt_path):
        raise WeightsMissing(f"there is no file of weights at {os.fspath(ckpt_path)}")
    with as_reference():
        model = load_model(
            ckpt_path, device=device, compile=settings.compile_image_encoder, image_size=settings.image_size
        )
    held = model.config.name.partition(":")[0]  # a model of another side says so in its name
    if held != config_of(name).name:
        raise WeightsRefused(
            f"{os.fspath(ckpt_path)} holds {held} and the configuration {config_file} is that of {name}; "
            f"give the configuration {_STEMS.get(held, 'of that model')}"
        )
    return model


def _from_hub(model_id: str) -> tuple[str, str]:
    if model_id not in HF_MODEL_ID_TO_FILENAMES:
        known = ", ".join(HF_MODEL_ID_TO_FILENAMES)
        raise SettingRefused(f"unknown model {model_id!r}{nearest(model_id, HF_MODEL_ID_TO_FILENAMES)}; known: {known}")
    return HF_MODEL_ID_TO_FILENAMES[model_id][0], model_id
