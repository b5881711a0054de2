"""Colours as networks want them, of pictures and of frames."""

from __future__ import annotations

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's colours, red, green, blue in 0..1, as published."""


def normalise(colors: Tensor) -> Tensor:
    """float32 (B, 3, H, W), RGB in 0..1 -> the same with mean 0 and deviation 1 over ImageNet."""
    mean, std = (torch.tensor(values, device=colors.device)[:, None, None] for values in (MEAN, STD))
    return (colors - mean) / std
