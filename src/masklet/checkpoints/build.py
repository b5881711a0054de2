"""Models with random weights, of a name or a configuration, with any of its fields changed."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from masklet.checkpoints import registry
from masklet.checkpoints.model import Model
from masklet.errors import ConfigError, nearest
from masklet.nn import ModelConfig, Network


def build_model(name_or_config: str | ModelConfig, *, seed: int | None = None, **overrides: Any) -> Model:
    """A model with random weights, in float32 on the CPU.

    Args:
        name_or_config: A name of `list_models()`, or a configuration.
        seed: Makes the weights repeatable and leaves torch's random numbers as they were.
        **overrides: Fields of `ModelConfig` to change: `build_model("sam2.1-tiny", image_size=512)`.

    Raises:
        CheckpointError: Unknown name.
        ConfigError: Unknown field, or values that cannot be built.
    """
    config = registry.config_of(name_or_config) if isinstance(name_or_config, str) else name_or_config
    fields = {field.name for field in dataclasses.fields(ModelConfig)}
    for name in overrides:
        if name not in fields:
            raise ConfigError(f"a model has no field {name!r}{nearest(name, fields)}")
    config = dataclasses.replace(config, **overrides)
    network = Network(config) if seed is None else _seeded(config, seed)
    return Model(config.name, network.eval().requires_grad_(False).prepare())


def _seeded(config: ModelConfig, seed: int) -> Network:
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)  # the CPU's alone; torch.manual_seed would seed every device
    try:
        return Network(config)
    finally:
        torch.default_generator.set_state(before)
