"""Scores that mean what they say, fitted on data that a network was not trained on (`ScoreCalibration`).

Predicted IoU is corrected by least squares on the true IoU of every candidate that is asked for; presence by logistic
regression (Platt, 1999) on whether the object is there. Answers come as in training: boxes and clicks, corrections,
frames that are followed, made-up clips in which objects leave and come back.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from masklet.errors import ConfigError
from masklet.nn import Network
from masklet.nn.mask_decoder import ScoreCalibration, iou_features
from masklet.training.batch import Batch, PickOptions, Use, draws
from masklet.training.data import Feed, FeedOptions, Mixture
from masklet.training.losses import actual_iou, on_cells
from masklet.training.prompts import Plan, PromptOptions, draw_plan
from masklet.training.unroll import Unroll

PRESENCE_REGULARIZATION = 1e-3
"""How strongly the calibration of presence is drawn to changing nothing."""


class Answers(NamedTuple):
    """A network's estimates and the truth, for K candidate masks and L answers of one kind."""

    features: Tensor  # float32 (K, 3), those of `iou_features`
    iou: Tensor  # (K,), the true IoU
    presence: Tensor  # (L,), the logit before any calibration
    present: Tensor  # bool (L,)
    followed: bool  # whether nobody pointed at the objects in that frame


CALIBRATION_FEED = FeedOptions(
    pictures=4, picture_objects=6, clips=1, frames=16, clip_share=0.5, made_up=0.7, pick=PickOptions(least=0.001)
)
"""Half of the batches are clips, long enough for a mask to drift; objects of every size."""


def calibrate_on(
    network: Network, mixture: Mixture, steps: int, report: Callable[[int], None] = lambda done: None
) -> str:
    """Fit the calibration of a network of our own, in evaluation, in place; its present one is left out of account.

    Looks at so many batches of data that it was not trained on, reports how many are done, and returns what was fitted,
    in words. Raises ConfigError for a network of another kind.
    """
    scores = getattr(network.sam_mask_decoder, "calibration", None)
    if not isinstance(scores, ScoreCalibration):
        raise ConfigError(f"{network.config.name} has scores as published; only models of our own kind are calibrated")
    scores.load_state_dict(ScoreCalibration().state_dict())
    feed, device = Feed(mixture, CALIBRATION_FEED, network.config.image_size, seed=0), network.no_obj_ptr.device
    answers: list[Answers] = []
    for step in range(steps):
        batch = feed.batch(step).to(device)
        plan = draw_plan(batch.frames, PromptOptions(corrections=2), draws(Use.PLAN, 0, step))
        answers += _answers(network, batch, plan)
        report(step + 1)
    told = []
    for row, kind in enumerate(("pointed at", "followed")):
        of_kind = [answer for answer in answers if answer.followed == bool(row)]
        if not of_kind:
            continue
        features, iou, presence, present = map(torch.cat, zip(*(answer[:4] for answer in of_kind), strict=True))
        scores.iou[row] = torch.linalg.lstsq(features.double(), iou.double()[:, None]).solution[:, 0]
        scores.presence[row] = _logistic(presence.double(), present.double())
        (base, share, sure), (shift, scale) = scores.iou[row].tolist(), scores.presence[row].tolist()
        told.append(
            f"{kind}: IoU {base:+.2f} {share:+.2f} of the predicted {sure:+.2f} of the certainty, from {len(iou)} "
            f"masks; presence {shift:+.2f} {scale:+.2f} of its logit, from {len(present)} answers"
        )
    return "\n".join(told)


@torch.no_grad()
def _answers(network: Network, batch: Batch, plan: Plan) -> list[Answers]:
    found = []
    for prediction in Unroll(network, batch, plan).predictions():
        decoded, truth = prediction.decoded, batch.masks[:, prediction.frame]
        known = batch.known[batch.owners, prediction.frame]
        asked = slice(1, None) if prediction.ambiguous else slice(0, 1)
        logits, predicted = decoded.logits[:, asked].float(), decoded.iou[:, asked]
        target, weight = (on_cells(pixels, logits) for pixels in (truth, known))
        present = truth.flatten(1).any(dim=1)
        iou = actual_iou(logits, target, weight)[present]
        features = iou_features(predicted, logits)[present]
        followed = prediction.corrections == 0 and prediction.frame not in plan.prompted
        found.append(Answers(features.flatten(0, 1), iou.flatten(), decoded.presence.float(), present, followed))
    return found


@torch.enable_grad()
def _logistic(logit: Tensor, truth: Tensor) -> Tensor:
    """(2,): what to add to a logit and by what to multiply it, so that its sigmoid fits the truth best.

    A small pull towards (0, 1) keeps it finite where all answers are right.
    """
    start = logit.new_tensor([0.0, 1.0])
    found = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(found[0] + found[1] * logit, truth)
        value = value + PRESENCE_REGULARIZATION * (found - start).square().sum()
        value.backward()
        return value

    optimizer.step(cost)
    return found.detach()
