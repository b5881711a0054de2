"""What a prediction costs: focal and dice on masks, the error of the predicted IoU, cross-entropy of presence.

Source: SAM 2 (Ravi et al., 2024, appendix), as released: of several candidate masks only the best is trained.
Letters: N objects, M candidate masks, H x W pixels.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from masklet.nn import Decoded

FOCAL_ALPHA = 0.25
"""Weight of the object's pixels in the focal loss, as published; the background has the rest."""


@dataclass(frozen=True)
class LossOptions:
    """Weights of the parts, as published, and on what they are computed."""

    mask: float = 20.0  # weight of the focal loss
    dice: float = 1.0  # weight of the dice loss
    iou: float = 1.0  # weight of the predicted IoU's absolute error
    presence: float = 1.0  # weight of the cross-entropy of presence
    # "asked": those that the prompt asks for, three after an ambiguous one, else the single one, as published; "all":
    # the single one and the best of the three after every prompt
    candidates: Literal["asked", "all"] = "asked"
    # "picture": logits are enlarged to the picture's square, as published; "cells": masks are shrunk to the cells of
    # the logits, which takes a sixteenth of the time and memory
    pixels: Literal["picture", "cells"] = "picture"


class LossTerms(NamedTuple):
    """The parts of a loss, without their weights, each a number."""

    mask: Tensor
    dice: Tensor
    iou: Tensor
    presence: Tensor

    def plus(self, other: "LossTerms") -> "LossTerms":
        return LossTerms(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def total(self, options: LossOptions) -> Tensor:
        weights = (options.mask, options.dice, options.iou, options.presence)
        return torch.stack([weight * term for weight, term in zip(weights, self, strict=True)]).sum()


def prediction_loss(
    decoded: Decoded, masks: Tensor, known: Tensor, *, ambiguous: bool, count: Tensor | float, options: LossOptions
) -> LossTerms:
    """What one answer for N objects costs; sums are divided by `count`.

    decoded    all four candidates; of an `ambiguous` prompt three were asked for
    masks      bool (N, S, S), the truth; empty where the object is absent
    known      bool (N, S, S), False where nobody knows the truth
    """
    present = masks.flatten(1).any(dim=1)
    logits = decoded.logits.float()
    if options.pixels == "picture":
        truth, weight = masks.float(), known.float()
        logits = F.interpolate(logits, size=masks.shape[-2:], mode="bilinear", align_corners=False)
    else:
        truth, weight = (on_cells(pixels, logits)[:, 0] for pixels in (masks, known))
    single, three = slice(0, 1), slice(1, None)
    asked = [single, three] if options.candidates == "all" else [three if ambiguous else single]
    parts = [
        candidate_loss(logits[:, part], decoded.iou[:, part].float(), truth, weight, present, count, options)
        for part in asked
    ]
    mask, dice, iou = (torch.stack(terms).mean() for terms in zip(*parts, strict=True))
    return LossTerms(mask, dice, iou, presence_loss(decoded.presence.float(), present, count))


def candidate_loss(
    logits: Tensor,
    iou: Tensor,
    truth: Tensor,
    weight: Tensor,
    present: Tensor,
    count: Tensor | float,
    options: LossOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    """Focal, dice and IoU loss of M candidates: focal and dice of the best one only, IoU of all; sums are divided by
    `count`, and the weights of the options decide which is the best.

    logits (N, M, H, W), predicted IoU (N, M), truth (N, H, W) in 0..1, weight (N, H, W) in 0..1, how much a pixel
    counts; present bool (N,): absent objects cost nothing here.
    """
    target, counted = truth[:, None].expand_as(logits), weight[:, None]
    focal, dice = focal_loss(logits, target, counted), dice_loss(logits, target, counted)
    error = (iou - actual_iou(logits, target, counted)).abs()
    best = (options.mask * focal + options.dice * dice).argmin(dim=1, keepdim=True)
    share = present.to(logits.dtype) / count
    return (
        (focal.gather(1, best)[:, 0] * share).sum(),
        (dice.gather(1, best)[:, 0] * share).sum(),
        (error.mean(dim=1) * share).sum(),
    )


def focal_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(N, M): mean over pixels of alpha (1 - p)^2 times the cross-entropy (Lin et al., 2017; gamma 2)."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid()
    right = probability * target + (1 - probability) * (1 - target)
    alpha = FOCAL_ALPHA * target + (1 - FOCAL_ALPHA) * (1 - target)
    return (alpha * (1 - right).square() * cross_entropy * weight).flatten(2).mean(dim=2)


def dice_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(N, M): one minus twice the overlap over the sum, both plus one (Milletari et al., 2016)."""
    probability = logits.sigmoid()
    overlap = (probability * target * weight).flatten(2).sum(dim=2)
    total = ((probability + target) * weight).flatten(2).sum(dim=2)
    return 1 - (2 * overlap + 1) / (total + 1)


def presence_loss(presence: Tensor, present: Tensor, count: Tensor | float) -> Tensor:
    """Cross-entropy of N presence logits, summed and divided by `count`."""
    return F.binary_cross_entropy_with_logits(presence, present.to(presence.dtype), reduction="sum") / count


def on_cells(pixels: Tensor, logits: Tensor) -> Tensor:
    """bool (N, S, S) -> (N, 1, H, W) in 0..1, the share of each cell of the logits."""
    return F.avg_pool2d(pixels[:, None].float(), pixels.shape[-1] // logits.shape[-1])


@torch.no_grad()
def actual_iou(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(N, M): intersection over union of the masks, pixels that count for less than half left out."""
    found, true = (logits > 0) & (weight > 0.5), (target > 0.5) & (weight > 0.5)
    union = (found | true).flatten(2).sum(dim=2).clamp(min=1)
    return (found & true).flatten(2).sum(dim=2) / union
