"""One step: from a batch to its loss. A module, so that it can be shared by many processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from masklet.nn import Network
from masklet.training.batch import Batch
from masklet.training.losses import LossOptions, LossTerms, actual_iou, prediction_loss
from masklet.training.parts import is_still
from masklet.training.prompts import Plan
from masklet.training.unroll import Prediction, Unroll, keep_all, recompute


class Judged(NamedTuple):
    """The loss of a step, and its parts."""

    loss: Tensor
    """A number"""
    terms: Tensor
    """(4,): the parts of the loss, without weights"""
    iou: Tensor
    """Mean IoU of the answers that count, of objects that are present"""


@dataclass(frozen=True)
class StepOptions:
    """How a batch is worked through.

    Attributes:
        losses: What predictions cost.
        recompute: Whether activations are computed again on the way back, which saves memory.
        still_clips: Whether the image encoder learns from pictures only.
        touch_all: Whether weights that a batch does not need get a gradient too, of zeros: shards exchange gradients
            of the same weights in all processes.
    """

    losses: LossOptions
    recompute: bool = False
    still_clips: bool = False
    touch_all: bool = False


class Step(nn.Module):
    """A network and what its answers cost."""

    def __init__(self, network: Network, options: StepOptions) -> None:
        super().__init__()
        self.network = network
        self.options = options

    def forward(self, batch: Batch, plan: Plan, count: Tensor) -> Judged:
        """Work through a batch by a plan; sums over objects are divided by `count`."""
        options = self.options
        still = is_still(self.network.image_encoder) or (options.still_clips and batch.frames > 1)
        unroll = Unroll(self.network, batch, plan, recompute if options.recompute else keep_all, still=still)
        zero = torch.zeros((), device=batch.images.device)
        terms, ious = LossTerms(zero, zero, zero, zero), []
        for prediction in unroll.predictions():
            known = batch.known[batch.owners, prediction.frame]
            terms = terms.plus(self._cost(prediction, batch.masks[:, prediction.frame], known, count))
            ious.append(mean_iou(prediction, batch.masks[:, prediction.frame], known))
        iou = torch.stack(ious).mean() if ious else zero
        loss = terms.total(options.losses)
        if options.touch_all:
            loss = loss + 0 * torch.stack([weight.sum() for weight in self._at_hand()]).sum()
        return Judged(loss, torch.stack(terms).detach(), iou)

    def _at_hand(self) -> Iterator[Tensor]:
        """All weights that learn, but for those of blocks that are shared out, which every batch needs anyway."""
        for weight in self.network.parameters():
            if weight.requires_grad and not hasattr(weight, "full_tensor"):
                yield weight

    def _cost(self, prediction: Prediction, masks: Tensor, known: Tensor, count: Tensor) -> LossTerms:
        return prediction_loss(
            prediction.decoded,
            masks,
            known,
            ambiguous=prediction.ambiguous,
            count=count,
            options=self.options.losses,
        )


@torch.no_grad()
def mean_iou(prediction: Prediction, masks: Tensor, known: Tensor) -> Tensor:
    """The mean over present objects of the IoU of the mask that a predictor would take, on the cells of the logits."""
    decoded = prediction.decoded
    side = masks.shape[-1] // decoded.logits.shape[-1]
    truth, weight = (nn.functional.avg_pool2d(x[:, None].float(), side) for x in (masks, known))
    iou = actual_iou(decoded.logits, truth, weight)
    index = torch.arange(len(iou), device=iou.device)
    choice = decoded.iou[:, 1:].argmax(dim=1) + 1 if prediction.ambiguous else torch.zeros_like(index)
    present = masks.flatten(1).any(dim=1).float()
    return (iou[index, choice] * present).sum() / present.sum().clamp(min=1)
