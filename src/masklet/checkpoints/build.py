"""Networks of a configuration: blank ones to be filled from a file, and models with random weights."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from masklet.checkpoints import registry
from masklet.engines.torch import Model
from masklet.errors import ConfigError, nearest
from masklet.nn import ModelConfig, Network
from masklet.nn.first import FirstNetwork


class _NoRandomNumbers(TorchFunctionMode):
    """Leaves out normal numbers, whose form for tensors without data takes seconds to import."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "normal_":
            return args[0] if args else (kwargs or {})["tensor"]
        return (torch.empty if name == "randn" else func)(*args, **(kwargs or {}))


@contextmanager
def without_numbers() -> Iterator[None]:
    """Modules that are made within have shapes and names, but no numbers: they take no time and no memory."""
    with torch.device("meta"), _NoRandomNumbers():
        yield


def blank_network(config: ModelConfig) -> Network:
    with without_numbers():
        return network_of(config)


def network_of(config: ModelConfig) -> Network:
    return FirstNetwork(config) if config.version == "1" else Network(config)


def load_weights(network: Network, state: dict[str, Tensor]) -> Network:
    """Give a blank network its weights, which become its own and must fit, and make it ready: in evaluation, without
    gradients, tables prepared."""
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False).prepare()


def build_model(name_or_config: str | ModelConfig, *, seed: int | None = None, **overrides: Any) -> Model:
    """A model with random weights, in float32 on the CPU.

    Args:
        name_or_config: A name of `list_models()`, or a configuration.
        seed: Makes the weights repeatable and leaves torch's random numbers as they were.
        **overrides: Fields of `ModelConfig` to change: `build_model("sam2.1-tiny", image_size=512)`.

    Raises CheckpointError for an unknown name, and ConfigError for an unknown field or values that cannot be built.
    """
    config = registry.config_of(name_or_config) if isinstance(name_or_config, str) else name_or_config
    fields = {field.name for field in dataclasses.fields(ModelConfig)}
    for name in overrides:
        if name not in fields:
            raise ConfigError(f"a model has no field {name!r}{nearest(name, fields)}")
    config = dataclasses.replace(config, **overrides)
    with torch.random.fork_rng(devices=(), enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)  # the CPU's alone; torch.manual_seed would seed every device
        network = network_of(config)
    return Model(config.name, network.eval().requires_grad_(False).prepare())
