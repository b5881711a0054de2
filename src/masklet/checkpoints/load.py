"""Models by name or from a file, ready to use."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from masklet.checkpoints import hub, registry
from masklet.checkpoints.blank import blank_network, load_weights
from masklet.checkpoints.files import TORCH_SUFFIXES, Weights, read_weights
from masklet.checkpoints.fit import check_fit, recognise
from masklet.checkpoints.metadata import read_config
from masklet.checkpoints.model import Model
from masklet.checkpoints.placement import choose_device, choose_dtype, place
from masklet.checkpoints.speed import check_speed, split_name, with_speed
from masklet.errors import CheckpointError, ConfigError
from masklet.nn import ModelConfig, Network


def load_model(
    name_or_path: str | os.PathLike[str] = "nano",
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    compile: bool = False,
    speed: str = "exact",
    image_size: int | None = None,
) -> Model:
    """A model with its weights, ready to use.

    Args:
        name_or_path: A name of `list_models()`, downloaded if it is not here yet; or a file: published `.pt`,
            `.safetensors` with the same names or those of transformers, a folder that holds `model.safetensors`, or
            what `save_model` wrote. Which model a file holds is seen from its tensors.
        device: Such as "cuda:1"; None takes cuda, else mps, else cpu.
        dtype: "float32" (also for None, whatever the file stores), "bfloat16" or "float16".
        speed: "exact" as published; "balanced" or "fast" stretch pictures to a smaller square and compute less, at some
            cost in the masks. Written behind the name it means the same: "sam2.1-tiny:fast". docs/speed.md tells what
            each mode costs.
        image_size: Side of that square, in pixels, whatever the mode says. "sam2.1-tiny:512" means the same.
        compile: Whether the four functions go through `torch.compile`, each at its first call.

    Raises:
        CheckpointError: Unknown name, or weights that cannot be had, read or fitted.
        ConfigError: Unknown speed mode, an image size that the model cannot have, or a file whose own configuration
            makes no sense.
        EngineError: A device or dtype that is not to be had here.
    """
    chosen_device, chosen_dtype = choose_device(device), choose_dtype(dtype)
    if isinstance(name_or_path, str) and registry.is_known(split_name(name_or_path)[0]):
        name_or_path, own_speed, own_size = split_name(name_or_path)
        speed = own_speed if speed == "exact" else speed
        image_size = own_size if image_size is None else image_size
    check_speed(speed)  # before anything is downloaded
    path, expected_name = _locate(name_or_path)
    weights = read_weights(path)
    network = _fitting_network(weights, path.name)
    name = network.config.name
    if expected_name not in (None, name):
        raise CheckpointError(f"{path} holds {name}, not {expected_name}; put the right file there, or remove this one")
    config = with_speed(network.config, speed, image_size)
    network = network if config == network.config else blank_network(config)
    return Model(config.name, load_weights(network, place(weights.state, chosen_device, chosen_dtype)), compile)


def _locate(name_or_path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """The file, and the name of the model that it must hold if a name was given."""
    if not isinstance(name_or_path, str):
        return Path(name_or_path), None
    if registry.is_known(name_or_path):
        info = registry.find(name_or_path)
        return hub.fetch(info), info.name
    path = Path(name_or_path).expanduser()
    looks_like_path = len(path.parts) > 1 or path.suffix in (*TORCH_SUFFIXES, ".safetensors") or path.exists()
    if not looks_like_path:
        registry.find(name_or_path)  # raises, with the nearest name
    return path, None


def _fitting_network(weights: Weights, file: str) -> Network:
    """A blank network that the weights fit wholly."""
    own = read_config(weights.metadata, file)
    config = own or recognise(weights.state, file)
    network = _blank(config, file) if own else blank_network(config)
    check_fit(weights.state, network.state_dict(), file, config.name)
    return network


def _blank(config: ModelConfig, file: str) -> Network:
    """The network of a configuration that came from outside."""
    try:
        return blank_network(config)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise ConfigError(f"{file} holds a configuration that cannot be built: {error}") from error
