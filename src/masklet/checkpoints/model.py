"""A model that is ready to use: a network and its name, behind the four functions of an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from masklet.checkpoints.digest import digest_of
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, Network, PromptTokens


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """What `load_model` and `build_model` return.

    Attributes:
        name: The variant's name, or the one that its configuration gives.
        network: In evaluation, without gradients, its tables prepared.
        compiled: Whether the four functions go through `torch.compile`, each at its first call.
    """

    name: str
    network: Network
    compiled: bool = False

    @property
    def config(self) -> ModelConfig:
        """What the network is made of."""
        return self.network.config

    @property
    def absent_pointer(self) -> Tensor:
        """(1, C) the pointer of an object that is not in the frame."""
        return self.network.no_obj_ptr

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.no_obj_ptr.device

    @property
    def dtype(self) -> torch.dtype:
        """In which precision it computes."""
        return self.network.no_obj_ptr.dtype

    @cached_property
    def digest(self) -> str:
        """By what the weights are known again; computed when it is first asked for."""
        return digest_of(self.network.named_parameters())

    def encode_image(self, images: Tensor) -> Levels:
        """See `Network.encode_image`."""
        return self._functions["encode_image"](images)

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        """See `Network.attend_memory`."""
        return self._functions["attend_memory"](features, bank)

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        """See `Network.decode_masks`."""
        return self._functions["decode_masks"](features, levels, prompts)

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """See `Network.encode_memory`."""
        return self._functions["encode_memory"](features, masks, presence)

    @cached_property
    def _functions(self) -> dict[str, Callable[..., Any]]:
        network = self.network
        functions = (network.encode_image, network.attend_memory, network.decode_masks, network.encode_memory)
        return {function.__name__: torch.compile(function) if self.compiled else function for function in functions}

    def __repr__(self) -> str:
        millions = sum(parameter.numel() for parameter in self.network.parameters()) / 1e6
        dtype = str(self.dtype).removeprefix("torch.")
        compiled = ", compiled" if self.compiled else ""
        return f"Model({self.name}, {millions:.1f} M, {self.config.image_size} px, {dtype} on {self.device}{compiled})"
