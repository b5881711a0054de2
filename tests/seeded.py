"""Weights that are the same in every program: each tensor's numbers follow from its name."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import torch


def seeded(tensors: Mapping[str, torch.Tensor], seed: int = 0) -> dict[str, torch.Tensor]:
    """Numbers for tensors of these names and shapes, such that every part of a network matters and none explodes."""
    return {key: _numbers(key, tensor, seed) for key, tensor in tensors.items()}


def _numbers(key: str, tensor: torch.Tensor, seed: int) -> torch.Tensor:
    noise = np.random.default_rng((seed, zlib.crc32(key.encode()))).standard_normal(tensor.shape)
    if key.endswith("num_batches_tracked"):
        return torch.zeros_like(tensor)
    if key.endswith("running_var"):
        noise = 1 + 0.1 * np.abs(noise)
    elif tensor.ndim == 1 and key.endswith("weight"):
        noise = 1 + 0.1 * noise  # of a normalisation
    else:
        noise *= 0.2 if tensor.ndim < 2 else 0.4 * tensor[0].numel() ** -0.5
    return torch.from_numpy(noise).float()
