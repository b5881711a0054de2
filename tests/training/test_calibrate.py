"""Scores that mean what they say: what is fitted, and whether it holds on other data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from masklet.errors import ConfigError
from masklet.nn import Network
from masklet.training import calibrate
from masklet.training.batch import Use, draws
from masklet.training.data import Feed, Mixture, read_data
from masklet.training.prompts import PromptOptions, draw_plan
from tests.training.shapes import TINY


def own_network() -> Network:
    torch.manual_seed(0)
    return Network(TINY).eval().requires_grad_(False).prepare()


def error(network: Network, mixture: Mixture, seed: int) -> float:
    """Mean distance of predicted and true IoU."""
    feed, found = Feed(mixture, calibrate.CALIBRATION_FEED, TINY.image_size, seed), []
    for step in range(4):
        batch = feed.batch(step)
        plan = draw_plan(batch.frames, PromptOptions(corrections=1), draws(Use.PLAN, seed, step))
        found += [
            (a.features @ network.sam_mask_decoder.calibration.iou[int(a.followed)] - a.iou).abs()
            for a in calibrate._answers(network, batch, plan)
        ]
    return float(torch.cat(found).mean())


def test_predicted_iou_is_nearer_to_the_true_one_on_other_pictures(shapes: Path) -> None:
    network, mixture = own_network(), Mixture(read_data([str(shapes)]))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fresh = error(network, mixture, seed=1)
    calibrate.calibrate_on(network, mixture, 4)
    assert error(network, mixture, seed=1) < 0.5 * fresh
    changed = [key for key, value in network.state_dict().items() if not torch.equal(value, before[key])]
    assert changed == ["sam_mask_decoder.calibration.iou", "sam_mask_decoder.calibration.presence"]


def test_fitting_again_begins_anew(shapes: Path) -> None:
    mixture = Mixture(read_data([str(shapes)]))
    once, twice = own_network(), own_network()
    calibrate.calibrate_on(once, mixture, 2)
    for _ in range(2):
        calibrate.calibrate_on(twice, mixture, 2)
    for name in ("iou", "presence"):
        torch.testing.assert_close(
            getattr(once.sam_mask_decoder.calibration, name), getattr(twice.sam_mask_decoder.calibration, name)
        )


def test_presence_is_fitted_to_how_often_the_object_is_there() -> None:
    generator = torch.Generator().manual_seed(0)
    logit = 4 * torch.randn(20_000, generator=generator, dtype=torch.float64)
    truth = (torch.rand(20_000, generator=generator) < (1.5 + 0.5 * logit).sigmoid()).double()
    torch.testing.assert_close(
        calibrate._logistic(logit, truth), torch.tensor([1.5, 0.5], dtype=torch.float64), atol=0.06, rtol=0
    )


def test_presence_that_is_always_right_stays_finite() -> None:
    logit = torch.tensor([-3.0, -2.0, 2.0, 3.0], dtype=torch.float64)
    shift, scale = calibrate._logistic(logit, (logit > 0).double()).tolist()
    assert abs(shift) < 1
    assert 0 < scale < 100


def test_scores_as_published_are_left_alone(shapes: Path) -> None:
    published = Network(dataclasses.replace(TINY, head="published")).eval()
    with pytest.raises(ConfigError, match="only models of our own kind are calibrated"):
        calibrate.calibrate_on(published, Mixture(read_data([str(shapes)])), 1)
