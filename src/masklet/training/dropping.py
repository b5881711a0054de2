"""What training leaves out at random: branches of the trunk (drop path), and numbers in memory attention (dropout).

The network knows nothing of it but the share of its attention's weights: all else are hooks, which a plain network has
not. Nothing is left out where nothing is learned: in evaluation, and in an image encoder that is frozen.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.errors import ConfigError
from masklet.nn import Network
from masklet.nn.memory_attention import MemoryLayer

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
