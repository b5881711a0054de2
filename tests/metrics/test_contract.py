"""What every metric that compares two masks keeps to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from masklet.metrics.registry import METRICS
from tests.metrics.slow import mask_pairs

every_metric = pytest.mark.parametrize("name", METRICS)


@every_metric
@settings(deadline=None)
@given(masks=mask_pairs())
def test_perfect_is_one_and_nothing_is_beyond(name: str, masks: np.ndarray) -> None:
    score = METRICS[name].score
    assert (score(masks, masks) == 1).all()
    assert 0 <= score(*masks) <= 1


@every_metric
def test_rule_for_empty_masks(name: str) -> None:
    metric = METRICS[name]
    empty, some = np.zeros((30, 40), np.bool_), np.zeros((30, 40), np.bool_)
    some[5:20, 8:22] = True
    assert metric.score(empty, empty) == metric.both_empty == 1
    assert metric.score(empty, some) == metric.score(some, empty) == metric.one_empty == 0


@every_metric
def test_merged_is_whole(name: str) -> None:
    predicted, truth = np.random.default_rng(1).random((2, 2, 7, 12, 15)) > 0.4
    whole = METRICS[name].score(predicted, truth)
    parts = [METRICS[name].score(predicted[:, part], truth[:, part]) for part in (slice(0, 3), slice(3, 7))]
    assert whole.shape == (2, 7)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@every_metric
def test_one_pixel(name: str) -> None:
    score = METRICS[name].score
    masks = np.zeros((3, 9, 9), np.bool_)
    masks[0, 4, 4] = masks[1, 0, 0] = True
    assert score(masks[0], masks[0]) == score(masks[1], masks[1]) == 1
    assert score(masks[0], masks[1]) == 0


def test_names_and_help() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.help
        assert "Source:" in (metric.score.__doc__ or "")
