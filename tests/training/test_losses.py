"""Losses: values and gradients of the reference, and what it is that is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from masklet.nn import Decoded
from masklet.training.losses import LossOptions, LossTerms, candidate_loss, prediction_loss, presence_loss
from masklet.training.unroll import Prediction, mean_iou
from tests.conftest import GOLDEN

WHOLE = Path(__file__).parents[3] / "shared/golden/training_loss"
"""Where a checkout beside the golden files finds those that are too large to ship."""

CASES = [
    "pub_1step_1frame_multimask",
    "pub_1step_single",
    "pub_3steps_2frames_absent",
    "pub_3steps_all_absent",
    "pub_8steps",
    "other_weights",
]

WEIGHTS = {"loss_mask": "mask", "loss_dice": "dice", "loss_iou": "iou", "loss_class": "presence"}

SINGLE = {"loss_mask": 0.1343814730644226, "loss_dice": 0.5081660151481628, "loss_iou": 0.4556101858615875}
SINGLE |= {"loss_class": 1.3893002271652222, "core_loss": 5.040706157684326}
"""What the reference found for the case `pub_1step_single`."""


def check(arrays: Any, case: str, totals: dict[str, float], options: LossOptions) -> None:
    targets = torch.from_numpy(arrays[f"{case}/targets"]).float()
    steps = sorted({name.rsplit("/", 1)[0] for name in arrays.files if name.startswith(f"{case}/frame")})
    inputs = {}
    terms = LossTerms(*torch.zeros(4))
    for step in steps:
        read = (torch.from_numpy(arrays[f"{step}/{name}"]) for name in ("mask_logits", "ious", "object_score_logits"))
        logits, iou, presence = inputs[step] = [tensor.requires_grad_() for tensor in read]
        truth = targets[int(step.split("/")[1].removeprefix("frame"))]
        present, count = truth.flatten(1).any(dim=1), len(truth)
        masks = candidate_loss(logits, iou, truth, torch.ones_like(truth), present, count, options)
        terms = terms.plus(LossTerms(*masks, presence_loss(presence[:, 0], present, count)))
    for name, part in WEIGHTS.items():
        assert getattr(terms, part).item() == pytest.approx(totals[name], rel=1e-6, abs=1e-6)
    total = terms.total(options)
    assert total.item() == pytest.approx(totals["core_loss"], rel=1e-6, abs=1e-6)
    total.backward()
    for step, tensors in inputs.items():
        for name, tensor in zip(("mask_logits", "ious", "object_score_logits"), tensors, strict=True):
            np.testing.assert_allclose(tensor.grad, arrays[f"{step}/grad_{name}"], rtol=1e-5, atol=1e-6)


def test_one_answer_costs_what_the_reference_says() -> None:
    check(np.load(GOLDEN / "training_loss/loss_single.npz"), "pub_1step_single", SINGLE, LossOptions())


@pytest.mark.skipif(not WHOLE.is_dir(), reason="the large golden files are not beside this checkout")
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_the_reference(case: str) -> None:
    recorded = json.loads((WHOLE / "loss_cases.json").read_text())[case]
    weights = {WEIGHTS[name]: weight for name, weight in recorded["options"]["weight_dict"].items()}
    check(np.load(WHOLE / "loss_cases.npz"), case, recorded["totals"], LossOptions(**weights))


def decoded(logits: torch.Tensor) -> Decoded:
    count = len(logits)
    return Decoded(logits, torch.full((count, 4), 0.5), torch.zeros(count, 4, 8), torch.zeros(count))


@pytest.mark.parametrize("best", [1, 2, 3])
def test_only_the_best_of_three_is_trained(best: int) -> None:
    masks = torch.zeros(1, 16, 16, dtype=torch.bool)
    masks[:, 4:12, 4:12] = True
    logits = torch.full((1, 4, 4, 4), -2.0)
    logits[0, best, 1:3, 1:3] = 2.0
    logits.requires_grad_()
    known = torch.ones_like(masks)
    terms = prediction_loss(decoded(logits), masks, known, ambiguous=True, count=1, options=LossOptions())
    terms.total(LossOptions()).backward()
    assert logits.grad is not None
    assert [bool(candidate.any()) for candidate in logits.grad[0]] == [candidate == best for candidate in range(4)]


@pytest.mark.parametrize("pixels", ["picture", "cells"])
def test_unknown_pixels_cost_nothing(pixels: Any) -> None:
    options = LossOptions(pixels=pixels, candidates="all")
    masks = torch.zeros(1, 16, 16, dtype=torch.bool)
    masks[:, :8] = True
    logits = torch.zeros(1, 4, 4, 4)
    logits[..., :2, :] = 30.0
    logits[..., 2:, :] = -30.0
    wrong = logits.clone()
    wrong[..., 3, :] = 30.0  # the lowest row of cells, which nobody knows
    known = torch.ones_like(masks)
    known[:, 9:] = False
    right, other = (
        prediction_loss(decoded(x), masks, known, ambiguous=False, count=1, options=options) for x in (logits, wrong)
    )
    if pixels == "cells":
        assert tuple(map(float, other)) == pytest.approx(tuple(map(float, right)))
        assert right.dice.item() < 0.05  # all that is known is right
    else:  # the enlarged border reaches a little into what is known
        assert other.mask.item() == pytest.approx(right.mask.item(), abs=1e-2)


def test_the_mean_iou_is_of_objects_that_are_there() -> None:
    """One that is absent counts neither for nor against, whatever the network answers to it."""
    truth = torch.zeros(2, 16, 16, dtype=torch.bool)
    truth[0, :, :8] = True
    logits = torch.full((2, 4, 4, 4), -5.0)
    logits[0, :, :, :1] = 5.0  # half of the object
    logits[1] = 5.0
    decoded = Decoded(logits, torch.zeros(2, 4), torch.zeros(2, 4, 8), torch.zeros(2))
    answer = Prediction(0, decoded, ambiguous=False, corrections=0)
    assert mean_iou(answer, truth, torch.ones_like(truth)).item() == pytest.approx(0.5)
