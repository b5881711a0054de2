"""Which of the four candidate masks counts: what pictures and videos share of the published rule."""

from __future__ import annotations

import torch
from torch import Tensor

from masklet.nn import Decoded

STABILITY_DELTA = 0.05
"""A mask is stable if it hardly changes when its threshold moves this far up or down, as published."""

LEAST_STABILITY = 0.98
"""A single mask that is less stable gives way to the best of three, as published."""


def best_of_three(decoded: Decoded) -> Tensor:
    """(N,) int64 in 1..3: the candidate for an ambiguous prompt with the highest predicted IoU."""
    return decoded.iou[:, 1:].argmax(dim=1) + 1


def single(decoded: Decoded, delta: float = STABILITY_DELTA, least: float = LEAST_STABILITY) -> Tensor:
    """(N,) int64 in 0..3: the candidate for a clear prompt, or the best of three where it is not stable."""
    unstable = stability(decoded.logits[:, 0], delta) < least
    return torch.where(unstable, best_of_three(decoded), 0)


def stability(logits: Tensor, delta: float) -> Tensor:
    """Pixels above +delta as a share of those above -delta, (N, h, w) -> (N,); 1 for a mask without any.

    Source: SAM (Kirillov et al., 2023, appendix B), as the released decoder computes it.
    """
    inner, outer = ((logits > threshold).flatten(1).sum(dim=1) for threshold in (delta, -delta))
    return torch.where(outer > 0, inner / outer, 1.0)
