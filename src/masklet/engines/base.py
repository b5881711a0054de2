"""What everything above the network talks to: four functions on tensors and five facts about them.

A loaded `Model` is the first engine. Exported networks offer the same, and predictors, trackers, the trainer and the
evaluation do not know which they hold.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, PromptTokens


class Engine(Protocol):
    """The narrow waist. Shapes are those of `masklet.nn.Network`, whose functions these are."""

    @property
    def config(self) -> ModelConfig:
        """Sizes of the network."""

    @property
    def device(self) -> torch.device:
        """Where tensors go in and come out."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of features and images."""

    @property
    def absent_pointer(self) -> Tensor:
        """(1, C) the pointer of an object that is not in the frame."""

    @property
    def digest(self) -> str:
        """By what its weights are known again; empty where nothing tells."""

    def encode_image(self, images: Tensor) -> Levels:
        """Pictures, normalised, (B, 3, S, S) -> features at three resolutions.

        On a CPU it may run in a thread of its own while the other functions run in another.
        """

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        """Features of a frame, conditioned on what is remembered of N objects: (N, C, h, w)."""

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        """All four candidate masks of N objects."""

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """What is to be remembered of N objects: (N, M, h, w)."""
