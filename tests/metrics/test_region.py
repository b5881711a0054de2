from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given

from masklet.errors import EvaluationError
from masklet.metrics.region import area, region_similarity
from tests.metrics.conftest import SEQUENCES
from tests.metrics.slow import mask_pairs, slow_region


@pytest.mark.parametrize("name", SEQUENCES)
def test_equals_davis(recorded: Mapping[str, np.ndarray], name: str) -> None:
    predicted, truth = recorded[name]
    expected = recorded[f"{name}/frames"][0]
    numbers = np.arange(1, len(expected) + 1)[:, None, None, None]
    ours = region_similarity(predicted == numbers, truth == numbers)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_void_pixels_count_for_nobody(recorded: Mapping[str, np.ndarray]) -> None:
    predicted, truth, void = recorded["void"] == 1
    np.testing.assert_allclose(region_similarity(predicted, truth, void), recorded["void/frames"][0], rtol=0, atol=1e-9)


@given(mask_pairs())
def test_equals_the_slow_way(masks: np.ndarray) -> None:
    assert region_similarity(*masks) == pytest.approx(slow_region(*masks), abs=1e-12)
    assert area(masks).tolist() == [int(mask.sum()) for mask in masks]


def test_leading_axes_are_kept() -> None:
    masks = np.random.default_rng(0).random((2, 3, 4, 5, 6)) > 0.5
    values = region_similarity(*masks)
    assert values.shape == (3, 4)
    assert values[2, 1] == region_similarity(masks[0, 2, 1], masks[1, 2, 1])
    assert region_similarity(masks[0, :0], masks[1, :0]).shape == (0, 4)


def test_what_does_not_fit_is_named() -> None:
    mask = np.zeros((4, 5), np.bool_)
    with pytest.raises(EvaluationError, match=r"\(4, 5\) and true ones of \(5, 4\); give two of one shape"):
        region_similarity(mask, mask.T)
    with pytest.raises(EvaluationError, match="uint8 and bool; give arrays of bool"):
        region_similarity(mask.astype(np.uint8), mask)  # type: ignore[arg-type]
