"""Which parts of a network learn, and what training leaves out of it at random.

Parts are frozen by name, or learn low-rank changes of their attention alone (LoRA: Hu et al., 2021): the change is a
parametrisation of the weight, so that the network knows nothing of it, and is merged into the weight when the model is
saved. Left out are branches of the trunk (drop path), and numbers in memory attention (dropout), by hooks that a plain
network has not; nothing where nothing is learned: in evaluation, and in an image encoder that is frozen.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from masklet.errors import ConfigError, nearest
from masklet.nn import Network
from masklet.nn.memory_attention import MemoryLayer
from masklet.training.recipe import Recipe, Stage

ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj", "qkv")
"""Names of the linear layers of attention; the trunk's `attn.proj` besides."""


def learning_network(recipe: Recipe, stage: Stage, network: Network) -> Network:
    """A network of the stage's size with the same weights, of which the stage's parts learn."""
    config = dataclasses.replace(network.config, image_size=stage.image_size)
    grown = Network(config)
    grown.load_state_dict(network.state_dict())
    grown = grown.to(memory_format=grown.image_encoder.trunk.memory_format)  # type: ignore[call-overload]
    if recipe.low_rank:
        add_low_rank(grown, recipe.low_rank)
    freeze(grown, stage.freeze)
    return grown


def freeze(network: Network, parts: Sequence[str]) -> None:
    """Let parts learn nothing; a part is the beginning of a parameter's name, such as "image_encoder".

    Raises ConfigError, with the nearest name, for a part that does not exist.
    """
    known = {".".join(name.split(".")[:depth]) for name, _ in network.named_parameters() for depth in (1, 2, 3)}
    for part in parts:
        found = [parameter for name, parameter in network.named_parameters() if f"{name}.".startswith(f"{part}.")]
        if not found:
            raise ConfigError(f"there is no part {part!r} to freeze{nearest(part, known)}")
        for parameter in found:
            parameter.requires_grad_(False)


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


def add_low_rank(network: Network, rank: int, parts: Sequence[str] = ("",)) -> None:
    """Freeze the network but for low-rank changes of all its attention, or of that in some parts."""
    network.requires_grad_(False)
    for name, module in list(network.named_modules()):
        ours = any(name.startswith(part) for part in parts)
        if ours and isinstance(module, nn.Linear) and (name.split(".")[-1] in ATTENTION or name.endswith("attn.proj")):
            parametrize.register_parametrization(module, "weight", LowRank(module.weight, rank))


def merged(network: Network, state: dict[str, Tensor] | None = None) -> Network:
    """A copy that is ready to use: of other weights if they are given, low-rank changes merged, in evaluation."""
    twin = copy.deepcopy(network)
    if state is not None:
        twin.load_state_dict(state)
    for module in twin.modules():
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return twin.eval().requires_grad_(False).prepare()


Drop = Callable[[Tensor, float], Tensor]

DROPPED = ("self_attn.out_proj", "cross_attn_image.out_proj", "linear1", "linear2")
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
            for part in DROPPED:
                _drop_from(layer.get_submodule(part), F.dropout, rate)


def leave_out(x: Tensor, share: float) -> Tensor:
    """(B, ...) -> the same with zeros for that share of the B pictures, and the others larger, so that the mean stays.

    Source: stochastic depth (Huang et al., 2016).
    """
    kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= share
    return x * (kept / (1 - share)).to(x.dtype)


def _drop_from(module: nn.Module, drop: Drop, share: float) -> None:
    def hook(module: nn.Module, _: Any, answer: Tensor) -> Tensor:
        return drop(answer, share) if module.training and torch.is_grad_enabled() else answer

    if share:
        module.register_forward_hook(hook)


def _check(name: str, rate: float) -> None:
    if not 0 <= rate < 1:
        raise ConfigError(f"{name} is {rate}; give a share from 0 to less than 1")
