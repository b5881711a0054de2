"""The simulated annotator's click: on an error, always, and where the reference's evaluation clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from masklet.masks.shape import Click, central_click, random_click

RECORDED = Path(__file__).parent / "recorded_clicks.npz"
"""Masks, and where the evaluation clicks of the published code fall on them."""


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=12))
    return draw(arrays(np.bool_, shape)), draw(arrays(np.bool_, shape))


@settings(max_examples=200, deadline=None)
@given(pairs(), st.integers(0, 2**32 - 1))
def test_a_click_lies_in_the_error_and_tells_its_kind(pair: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    predicted, truth = pair
    for click in (central_click(predicted, truth), random_click(predicted, truth, np.random.default_rng(seed))):
        if (predicted == truth).all():
            assert click is None
        else:
            assert click is not None
            assert predicted[click.y, click.x] != truth[click.y, click.x]
            assert click.label == truth[click.y, click.x]


def test_random_clicks_are_those_of_their_seed() -> None:
    truth = np.random.default_rng(0).random((40, 50)) > 0.5
    clicks = [random_click(None, truth, np.random.default_rng(7)) for _ in range(2)]
    assert clicks[0] == clicks[1]
    assert len({random_click(None, truth, np.random.default_rng(seed)) for seed in range(9)}) > 1


@pytest.mark.parametrize("case", range(12))
def test_the_central_click_is_that_of_the_reference(case: int) -> None:
    """Where nothing is wrong the reference clicks on the top-left pixel; masklet does not click at all."""
    recorded = np.load(RECORDED)
    truth, predicted = recorded["gt"][case, 0], recorded["pred"][case, 0]
    for name, answer in (("", predicted), ("_pred_none", None)):
        (x, y), label = recorded[f"center_points{name}"][case, 0], recorded[f"center_labels{name}"][case, 0]
        wrong = truth.any() if answer is None else (truth != answer).any()
        assert central_click(answer, truth) == (Click(int(x), int(y), int(label)) if wrong else None)
