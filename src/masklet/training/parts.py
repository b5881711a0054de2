"""Which parts of a network learn, how fast, and what training leaves out of it at random; and the average of weights.

Parts are frozen by name, or learn low-rank changes of their attention alone (LoRA: Hu et al., 2021): the change is a
parametrisation of the weight, so that the network knows nothing of it, and is merged into the weight when the model is
saved. AdamW has its own rate for every part and layer. Left out are branches of the trunk (drop path), and numbers in
memory attention (dropout), by hooks that a plain network has not; nothing where nothing is learned: in evaluation, and
in an image encoder that is frozen.

Source: SAM 2 (Ravi et al., 2024, appendix), as released; layer decay after BEiT (Bao et al., 2021).
"""

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from masklet.errors import ConfigError, nearest
from masklet.nn import Network
from masklet.nn.memory_attention import MemoryLayer

ATTENTION_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "qkv")
"""Names of the linear layers of attention; the trunk's `attn.proj` besides."""

TIMESCALE = 1000.0
"""Steps of the reciprocal schedule after which the rate has fallen by the root of two, as published."""


def freeze(network: Network, parts: Sequence[str]) -> None:
    """Let parts learn nothing; a part is the beginning of a parameter's name, such as "image_encoder".

    Raises ConfigError, with the nearest name, for a part that does not exist.
    """
    known = {".".join(name.split(".")[:depth]) for name, _ in network.named_parameters() for depth in (1, 2, 3)}
    for part in parts:
        found = [parameter for name, parameter in network.named_parameters() if _is_in(name, part)]
        if not found:
            raise ConfigError(f"there is no part {part!r} to freeze{nearest(part, known)}")
        for parameter in found:
            parameter.requires_grad_(False)


def _is_in(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")


def is_still(module: nn.Module) -> bool:
    """Whether nothing of a module learns."""
    return not any(parameter.requires_grad for parameter in module.parameters())


def set_learning(network: Network, *, norms: bool) -> None:
    """Put a network into training; frozen normalisations, and with `norms` False all, keep their statistics."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and (not norms or is_still(module)):
            module.eval()


class LowRank(nn.Module):
    """A weight plus the product of two narrow matrices, of which the second begins at zero."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.down = nn.Parameter(torch.randn(rank, columns, device=weight.device) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def add_low_rank(network: Network, rank: int) -> None:
    """Freeze the network but for low-rank changes of all its attention."""
    network.requires_grad_(False)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear) and (name.split(".")[-1] in ATTENTION_LAYERS or name.endswith("attn.proj")):
            parametrize.register_parametrization(module, "weight", LowRank(module.weight, rank))


def merged_network(network: Network, state: Mapping[str, Tensor]) -> Network:
    """A copy of these weights that is ready to use: low-rank changes merged, in evaluation."""
    twin = copy.deepcopy(network)
    twin.load_state_dict(state)
    for module in twin.modules():
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return twin.eval().requires_grad_(False).prepare()


DROPOUT_LAYERS = ("self_attn.out_proj", "cross_attn_image.out_proj", "linear1", "linear2")
"""The modules of a memory layer whose answers lose numbers. Before or after the ReLU behind `linear1` is the same."""


def add_drop_path(network: Network, rate: float) -> None:
    """Leave out branches of the trunk, each picture for itself, the more often the later the block.

    rate  of the last block; the first one's is 0, between them it rises evenly (as in Hiera: Ryali et al., 2023)

    Raises ConfigError for an impossible rate.
    """
    _check("drop_path", rate)
    blocks = [layer.branches for layer in network.image_encoder.trunk.layers() if layer.branches]
    for branches, share in zip(blocks, torch.linspace(0, rate, len(blocks)).tolist(), strict=True):
        for branch in branches:
            _drop_from(branch, leave_out, share)


def add_dropout(network: Network, rate: float) -> None:
    """Leave out numbers in memory attention, as the released training does: weights of both attentions, what each of
    the three parts of a layer adds, and the hidden numbers of its feed-forward.

    Raises ConfigError for an impossible rate.
    """
    _check("dropout", rate)
    for layer in network.memory_attention.modules():
        if isinstance(layer, MemoryLayer):
            layer.dropout = rate
            for part in DROPOUT_LAYERS:
                _drop_from(layer.get_submodule(part), F.dropout, rate)


def leave_out(x: Tensor, share: float) -> Tensor:
    """(B, ...) -> the same with zeros for that share of the B pictures, and the others larger, so that the mean stays.

    Source: stochastic depth (Huang et al., 2016).
    """
    kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= share
    return x * (kept / (1 - share)).to(x.dtype)


def _drop_from(module: nn.Module, drop: Callable[[Tensor, float], Tensor], share: float) -> None:
    def hook(module: nn.Module, _: Any, answer: Tensor) -> Tensor:
        return drop(answer, share) if module.training and torch.is_grad_enabled() else answer

    if share:
        module.register_forward_hook(hook)


def _check(name: str, rate: float) -> None:
    if not 0 <= rate < 1:
        raise ConfigError(f"{name} is {rate}; give a share from 0 to less than 1")


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
            named = max((part for part in options.parts if _is_in(name, part)), key=len, default="")
            scale = options.parts.get(named, 1.0) * layers.get(parameter, 1.0)
            groups[scale, 0.0 if name in undecayed else options.weight_decay].append(parameter)
    if not groups:
        raise ConfigError("all parts of the network are frozen, so nothing learns; freeze less")
    return [{"params": found, "scale": scale, "weight_decay": decay} for (scale, decay), found in groups.items()]


def without_decay(network: nn.Module) -> set[str]:
    """Names of biases, and of all parameters of normalisations that torch has."""
    inside = {
        f"{prefix}.{name}"
        for prefix, module in network.named_modules()
        if isinstance(module, nn.LayerNorm | nn.BatchNorm2d)
        for name, _ in module.named_parameters(recurse=False)
    }
    return inside | {name for name, _ in network.named_parameters() if "bias" in name}


def layer_scales(network: Network, decay: float) -> dict[nn.Parameter, float]:
    """The share of the rate of each parameter in a layer of the trunk: less the farther it is from the end."""
    layers = network.image_encoder.trunk.layers()
    return {
        parameter: decay ** (len(layers) - index)
        for index, layer in enumerate(layers)
        for parameter in layer.module.parameters()
    }


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
