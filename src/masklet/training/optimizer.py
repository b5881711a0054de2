"""AdamW with its own rate for every part and layer, schedules, and the running average of the weights.

Source: SAM 2 (Ravi et al., 2024, appendix), as released; layer decay after BEiT (Bao et al., 2021).
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from masklet.errors import ConfigError
from masklet.nn import Network

TIMESCALE = 1000.0
"""Steps of the reciprocal schedule after which the rate has fallen by the root of two, as published."""


@dataclass(frozen=True)
class OptimizerOptions:
    """How weights are changed; the defaults are those of the published full training."""

    rate: float = 3e-4  # the highest learning rate
    # names of parameters by their beginning, and the share of the rate that they get
    parts: Mapping[str, float] = field(default_factory=lambda: {"image_encoder": 0.2})
    # each layer of the trunk gets this share of the rate of the layer after it; 1 keeps all alike
    layer_decay: float = 0.9
    weight_decay: float = 0.1  # of all but biases and normalisations
    # "cosine", or "reciprocal": the square root of the steps, with a cool-down at the end
    schedule: Literal["cosine", "reciprocal"] = "cosine"
    warm_up: float = 0.1  # share of the steps in which the rate rises from 0
    end: float = 0.0  # share of the rate that is left at the end of a cosine
    clip: float = 0.1  # the gradient's norm is at most this
    average: float = 0.999  # decay of the running average of the weights; with 0 it is the weights


def build_optimizer(network: Network, options: OptimizerOptions) -> torch.optim.AdamW:
    """The optimizer of what learns. Raises ConfigError as `parameter_groups` does."""
    return torch.optim.AdamW(parameter_groups(network, options), lr=options.rate, fused=True)


def parameter_groups(network: Network, options: OptimizerOptions) -> list[dict[str, Any]]:
    """What learns, by how; each group's `scale` is its share of the rate.

    Raises ConfigError if nothing learns, or a part that is named does not exist.
    """
    names = [name for name, _ in network.named_parameters()]
    for part in options.parts:
        if not any(_is_in(name, part) for name in names):
            raise ConfigError(f"optimizer.parts names {part!r}, but no parameter's name begins so")
    undecayed, layers = without_decay(network), layer_scales(network, options.layer_decay)
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            scale = part_scale(name, options.parts) * layers.get(parameter, 1.0)
            groups[scale, 0.0 if name in undecayed else options.weight_decay].append(parameter)
    if not groups:
        raise ConfigError("all parts of the network are frozen, so nothing learns; freeze less")
    return [{"params": found, "scale": scale, "weight_decay": decay} for (scale, decay), found in groups.items()]


def without_decay(network: nn.Module) -> set[str]:
    """Names of biases, and of all parameters of normalisations that torch has."""
    norms = (nn.LayerNorm, nn.BatchNorm2d)
    inside = {
        f"{prefix}.{name}"
        for prefix, module in network.named_modules()
        if isinstance(module, norms)
        for name, _ in module.named_parameters(recurse=False)
    }
    return inside | {name for name, _ in network.named_parameters() if "bias" in name}


def part_scale(name: str, parts: Mapping[str, float]) -> float:
    """The share of the part with the longest name that fits; 1 if none does."""
    fitting = [part for part in parts if _is_in(name, part)]
    return parts[max(fitting, key=len)] if fitting else 1.0


def layer_scales(network: Network, decay: float) -> dict[nn.Parameter, float]:
    """The share of the rate of each parameter in a layer of the trunk: less the farther it is from the end."""
    layers = network.image_encoder.trunk.layers()
    return {
        parameter: decay ** (len(layers) - index)
        for index, layer in enumerate(layers)
        for parameter in layer.module.parameters()
    }


def _is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def scheduled(step: int, steps: int, options: OptimizerOptions) -> float:
    """The share of the rate at a step, of so many: up in a line; then down in half a wave, or with the root of the
    steps and in a line to 0 over the last twentieth."""
    rising = options.warm_up * steps
    if step < rising:
        return min(1.0, (step + 1) / rising)
    if options.schedule == "cosine":
        where = (step - rising) / max(steps - rising, 1)
        return options.end + (1 - options.end) * 0.5 * (1 + math.cos(math.pi * where))
    return math.sqrt(TIMESCALE / (TIMESCALE + step - rising)) * min(1.0, (steps - step) / max(0.05 * steps, 1))


def set_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, options: OptimizerOptions) -> float:
    """Give every group its rate at a step; returns the highest."""
    rate = options.rate * scheduled(step, steps, options)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    return rate


class Average:
    """The running average of a network's weights, which is what is kept of a training; with a decay of 0, the
    weights."""

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {key: value.detach().clone() for key, value in weights.items()}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Take in the weights after a step; early steps count for more, so that the beginning is soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        real = [key for key, value in self.state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[key] for key in real], [weights[key] for key in real], 1 - decay)
        for key in self.state.keys() - real:
            self.state[key].copy_(weights[key])

    def load(self, state: Mapping[str, Tensor]) -> None:
        for key, value in state.items():
            self.state[key].copy_(value)
