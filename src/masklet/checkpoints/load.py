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
from masklet.errors import CheckpointError, ConfigError
from masklet.nn import ModelConfig, Network


def load_model(
    name_or_path: str | os.PathLike[str] = "nano",
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    compile: bool = False,
) -> Model:
    """A model with its weights, ready to use.

    Args:
        name_or_path: A name of `list_models()`, downloaded if it is not here yet; or a file: published `.pt`,
            `.safetensors` with the same names or those of transformers, a folder that holds `model.safetensors`, or
            what `save_model` wrote. Which model a file holds is seen from its tensors.
        device: Such as "cuda:1"; None takes cuda, else mps, else cpu.
        dtype: "float32" (also for None, whatever the file stores), "bfloat16" or "float16".
        compile: Whether the four functions go through `torch.compile`, each at its first call.

    Raises:
        CheckpointError: Unknown name, or weights that cannot be had, read or fitted.
        ConfigError: A file whose own configuration makes no sense.
        EngineError: A device or dtype that is not to be had here.
    """
    chosen_device, chosen_dtype = choose_device(device), choose_dtype(dtype)
    path, expected_name = _locate(name_or_path)
    weights = read_weights(path)
    network = _fitting_network(weights, path.name)
    name = network.config.name
    if expected_name not in (None, name):
        raise CheckpointError(f"{path} holds {name}, not {expected_name}; put the right file there, or remove this one")
    return Model(name, load_weights(network, place(weights.state, chosen_device, chosen_dtype)), compile)


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
