"""One step: from a batch to its loss. A module, so that it can be shared by many processes."""

from collections.abc import Iterator
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


class Step(nn.Module):
    """A network and what its answers cost.

    Args:
        network: What learns.
        losses: What predictions cost.
        recompute: Whether activations are computed again on the way back, which saves memory.
        still_clips: Whether the image encoder learns from pictures only.
        touch_all: Whether weights that a batch does not need get a gradient too, of zeros: shards exchange gradients
            of the same weights in all processes.
    """

    def __init__(
        self, network: Network, losses: LossOptions, *, recompute: bool, still_clips: bool, touch_all: bool
    ) -> None:
        super().__init__()
        self.network, self.losses = network, losses
        self.recompute, self.still_clips, self.touch_all = recompute, still_clips, touch_all

    def forward(self, batch: Batch, plan: Plan, count: Tensor) -> Judged:
        """Work through a batch by a plan; sums over objects are divided by `count`."""
        still = is_still(self.network.image_encoder) or (self.still_clips and batch.frames > 1)
        unroll = Unroll(self.network, batch, plan, recompute if self.recompute else keep_all, still=still)
        zero = torch.zeros((), device=batch.images.device)
        terms, ious = LossTerms(zero, zero, zero, zero), []
        for prediction in unroll.predictions():
            masks, known = batch.masks[:, prediction.frame], batch.known[batch.owners, prediction.frame]
            asked = prediction.ambiguous
            cost = prediction_loss(prediction.decoded, masks, known, ambiguous=asked, count=count, options=self.losses)
            terms = terms.plus(cost)
            ious.append(mean_iou(prediction, masks, known))
        iou = torch.stack(ious).mean() if ious else zero
        loss = terms.total(self.losses)
        if self.touch_all:
            loss = loss + 0 * torch.stack([weight.sum() for weight in self._at_hand()]).sum()
        return Judged(loss, torch.stack(terms).detach(), iou)

    def _at_hand(self) -> Iterator[Tensor]:
        """All weights that learn, but for those of blocks that are shared out, which every batch needs anyway."""
        for weight in self.network.parameters():
            if weight.requires_grad and not hasattr(weight, "full_tensor"):
                yield weight


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
