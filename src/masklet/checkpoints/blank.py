"""Networks without weights: the shapes of a configuration, made in no time and no memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from masklet.nn import ModelConfig, Network


class _NoRandomNumbers(TorchFunctionMode):
    """Leaves out normal numbers, whose form for tensors without data takes seconds to import."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "normal_":
            return args[0] if args else (kwargs or {})["tensor"]
        return (torch.empty if name == "randn" else func)(*args, **(kwargs or {}))


def blank_network(config: ModelConfig) -> Network:
    """The network of a configuration on the meta device: shapes and names, no numbers."""
    with torch.device("meta"), _NoRandomNumbers():
        return Network(config)


def load_weights(network: Network, state: dict[str, Tensor]) -> Network:
    """Give a blank network its weights and make it ready: in evaluation, without gradients, tables prepared.

    The tensors become the network's own, so none is copied; they must fit, on one device.
    """
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False).prepare()
