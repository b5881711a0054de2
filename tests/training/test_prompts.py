"""Simulated prompts: the draws of the reference, and what a plan promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from masklet.nn.layers import tight_box
from masklet.training.prompts import PromptOptions, draw_plan, first_points, rough_box, uniform_click
from tests.conftest import GOLDEN

WHOLE = Path(__file__).parents[3] / "shared/golden/training_loss"


def small() -> tuple[dict[str, np.ndarray], torch.Tensor]:
    arrays = dict(np.load(GOLDEN / "training_loss/prompt_sampling_small.npz"))
    masks = np.unpackbits(arrays["gt_packed"], axis=-1)[:, 0, :, :56].astype(bool)
    return arrays, torch.from_numpy(masks)


def test_boxes_are_those_of_the_reference() -> None:
    arrays, masks = small()
    np.testing.assert_array_equal(tight_box(masks), arrays["mask_box_xyxy"][:, 0])
    found = rough_box(masks, torch.from_numpy(arrays["box_rand"][:, 0]))
    np.testing.assert_allclose(found.places, arrays["box_points"], atol=1e-5)
    np.testing.assert_array_equal(found.labels, arrays["box_labels"])


@pytest.mark.skipif(not WHOLE.is_dir(), reason="the large golden files are not beside this checkout")
def test_clicks_are_those_of_the_reference() -> None:
    arrays = np.load(WHOLE / "prompt_sampling.npz")
    truth, answer = (torch.from_numpy(arrays[name][:, 0]) for name in ("gt", "pred"))
    for click in range(2):
        found = uniform_click(truth, answer, torch.from_numpy(arrays["uniform_rand"][:, click]))
        np.testing.assert_array_equal(found.places[:, 0], arrays["uniform_points"][:, click])
        np.testing.assert_array_equal(found.labels[:, 0], arrays["uniform_labels"][:, click])


def test_a_correction_lies_where_the_answer_is_wrong() -> None:
    truth, answer = torch.zeros(2, 8, 8, dtype=torch.bool), torch.zeros(2, 8, 8, dtype=torch.bool)
    truth[0, 2:4, 2:4] = True  # missed
    answer[1, 5:7, 5:7] = True  # too much
    click = uniform_click(truth, answer, torch.rand(2, 8, 8, 2))
    (x0, y0), (x1, y1) = click.places[:, 0].int().tolist()
    assert truth[0, y0, x0]
    assert answer[1, y1, x1]
    assert click.labels[:, 0].tolist() == [1, 0]


def test_an_absent_object_is_clicked_away_where_others_get_a_box() -> None:
    truth = torch.zeros(2, 8, 8, dtype=torch.bool)
    truth[0, 2:4, 2:4] = True
    points = first_points("box", truth, torch.rand(2, 8, 8, 2), torch.rand(2, 4))
    assert points.labels.tolist() == [[2, 3], [0, -1]]


def test_plans_keep_to_the_published_shares() -> None:
    rng = np.random.default_rng(0)
    plans = [draw_plan(8, PromptOptions(), rng) for _ in range(2000)]
    share = {kind: sum(plan.kind == kind for plan in plans) / len(plans) for kind in ("mask", "box", "click")}
    assert share["mask"] == pytest.approx(0.5, abs=0.05)
    assert share["box"] == pytest.approx(0.25, abs=0.05)
    for plan in plans:
        assert plan.prompted[0] == 0
        assert len(plan.prompted) <= 2
        assert sorted(plan.order(8)) == list(range(8))
        assert len(plan.corrected) <= 2
        if plan.kind == "mask":
            assert plan.corrected == ()
        else:
            assert plan.corrected[: len(plan.prompted)] == plan.prompted
            assert all(len(row) == 7 for row in plan.from_truth)


def test_a_picture_begins_with_a_box_or_a_click_and_is_corrected() -> None:
    rng = np.random.default_rng(0)
    plans = [draw_plan(1, PromptOptions(), rng) for _ in range(50)]
    assert {plan.kind for plan in plans} == {"box", "click"}
    assert all(plan.prompted == plan.corrected == (0,) for plan in plans)
