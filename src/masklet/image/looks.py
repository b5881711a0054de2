"""What clicks on a picture give before anybody judges it: candidate masks at low resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from masklet.engines.base import Engine
from masklet.engines.rules import single
from masklet.image.decoding import decode_in_parts
from masklet.image.everything_options import SettledOptions
from masklet.image.prompts import HIGHEST_LOGIT, ObjectPrompt, as_tokens
from masklet.nn import Decoded, Levels, PromptTokens
from masklet.prompts import INCLUDE, Prompt


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture that can be clicked at.

    engine    what decodes
    levels    the picture, encoded by the engine
    features  (1, C, h, w), its stride-16 features, conditioned on nothing
    size      (height, width) of the picture
    options   which masks are wanted
    """

    engine: Engine
    levels: Levels
    features: Tensor
    size: tuple[int, int]
    options: SettledOptions


@dataclass(frozen=True, eq=False)
class Look:
    """K candidate masks of some clicks.

    logits      float32 (K, S/4, S/4)
    iou         float32 (K,) predicted
    presence    float32 (K,) logit
    candidates  int64 (K,) in 0..3, which of the network's masks each is
    points      (K, 2) each mask's click, in pixels of the picture
    """

    logits: Tensor
    iou: Tensor
    presence: Tensor
    candidates: Tensor
    points: NDArray[np.float64]


def look(sight: Sight, points: NDArray[np.float64]) -> Look:
    """What one click at each of the points, (N, 2), gives: those masks whose predicted IoU is high enough."""
    decoded = decode_in_parts(sight.engine, sight.features, sight.levels, tokens(sight, points))
    if not sight.options.multimask:
        found = alone(decoded, points)
    else:
        logits, iou = decoded.logits[:, 1:].flatten(0, 1), decoded.iou[:, 1:].flatten()
        candidates = torch.arange(1, 4, device=iou.device).repeat(len(points))
        found = Look(logits, iou, decoded.presence.repeat_interleave(3), candidates, points.repeat(3, axis=0))
    return sure(sight, again(sight, found) if sight.options.refine else found)


def again(sight: Sight, found: Look) -> Look:
    """The same clicks once more, each with the mask that it gave."""
    earlier = found.logits.float().clamp(-HIGHEST_LOGIT, HIGHEST_LOGIT)[:, None].to(sight.engine.dtype)
    prompts = tokens(sight, found.points)._replace(masks=earlier)
    return alone(decode_in_parts(sight.engine, sight.features, sight.levels, prompts), found.points)


def tokens(sight: Sight, points: NDArray[np.float64]) -> PromptTokens:
    """One click on each of N things."""
    clicks = [ObjectPrompt(Prompt(points=((float(x), float(y)),), labels=(INCLUDE,)), None) for x, y in points]
    return as_tokens(clicks, sight.size, sight.engine)


def alone(decoded: Decoded, points: NDArray[np.float64]) -> Look:
    """One mask for each click."""
    rows, candidate = torch.arange(len(points), device=decoded.iou.device), single(decoded)
    return Look(decoded.logits[rows, candidate], decoded.iou[rows, candidate], decoded.presence, candidate, points)


def sure(sight: Sight, found: Look) -> Look:
    """Those whose predicted IoU is high enough."""
    kept = found.iou > sight.options.least_iou
    return Look(
        logits=found.logits[kept],
        iou=found.iou[kept],
        presence=found.presence[kept],
        candidates=found.candidates[kept],
        points=found.points[kept.cpu().numpy()],
    )
