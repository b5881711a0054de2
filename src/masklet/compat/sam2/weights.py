"""What the builders and predictors of the reference are made of: names of configurations and files of weights in, a
model and its settings out.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from masklet.checkpoints import Model, build_model
from masklet.checkpoints.load import choose_device, load_torch_model
from masklet.checkpoints.registry import config_of, is_known, list_models
from masklet.compat.failures import SettingRefused, WeightsMissing, WeightsRefused, as_reference
from masklet.compat.sam2.settings import CONFIGS, VIDEO_POSTPROCESSING, Settings, variant_of, with_overrides
from masklet.errors import nearest

_STEMS = {model: stem for stem, model in CONFIGS.items()}

HF_MODEL_ID_TO_FILENAMES = {
    info.repo: (f"configs/{info.name.split('-')[0]}/{_STEMS[info.name]}.yaml", info.file)
    for info in list_models()
    if info.repo is not None and info.name.startswith("sam2")
}
"""Repository on the hub -> configuration file and file of weights."""


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
    overrides = [*hydra_overrides_extra, *(["++model.compile_image_encoder=true"] if vos_optimized else [])]
    settings = with_overrides(Settings(**(postprocessing if apply_postprocessing else {})), overrides)
    return _model(config_file, ckpt_path, device, settings), settings


def from_hub(model_id: str) -> tuple[str, str]:
    """The configuration of a model of the hub, such as "facebook/sam2.1-hiera-tiny", and what its weights load by.

    Raises:
        SettingRefused: There is no such model (a ValueError).
    """
    if model_id not in HF_MODEL_ID_TO_FILENAMES:
        if is_known(model_id):
            return model_id, model_id
        known = ", ".join(HF_MODEL_ID_TO_FILENAMES)
        raise SettingRefused(f"unknown model {model_id!r}{nearest(model_id, HF_MODEL_ID_TO_FILENAMES)}; known: {known}")
    return HF_MODEL_ID_TO_FILENAMES[model_id][0], model_id


def _model(
    config_file: str, ckpt_path: str | os.PathLike[str] | None, device: str | torch.device | None, settings: Settings
) -> Model:
    """The weights of a file, or random ones, in the network of a configuration."""
    name = variant_of(config_file)
    if ckpt_path is None and name in CONFIGS.values():
        changes = {} if settings.image_size is None else {"image_size": settings.image_size}
        with as_reference():
            model = build_model(name, **changes)
            model.move(choose_device(device))
        return model
    ckpt_path = name if ckpt_path is None else ckpt_path  # a model of masklet's own brings its weights
    known = isinstance(ckpt_path, str) and is_known(ckpt_path)
    if not known and not os.path.exists(ckpt_path):
        raise WeightsMissing(f"there is no file of weights at {os.fspath(ckpt_path)}")
    with as_reference():
        model = load_torch_model(
            ckpt_path, device=device, compile=settings.compile_image_encoder, image_size=settings.image_size
        )
    held = model.config.name.partition(":")[0]  # a model of another side says so in its name
    if held != config_of(name).name:
        raise WeightsRefused(
            f"{os.fspath(ckpt_path)} holds {held} and the configuration {config_file} is that of {name}; "
            f"give the configuration {_STEMS.get(held, 'of that model')}"
        )
    return model
