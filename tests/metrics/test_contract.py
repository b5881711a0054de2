"""What every metric that compares two masks keeps to."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings

from masklet import metrics
from masklet.metrics.jf import Values, adaptive_boundary_accuracy, boundary_accuracy, region_similarity
from tests.metrics.slow import mask_pairs

METRICS = {"J": region_similarity, "F": boundary_accuracy, "F-dot": adaptive_boundary_accuracy}

every_metric = pytest.mark.parametrize("name", METRICS)


def test_every_metric_of_two_masks_is_tried() -> None:
    """Whatever takes a predicted mask, a true one and unknown pixels, and gives values."""
    modules = [
        importlib.import_module(f"masklet.metrics.{found.name}") for found in pkgutil.iter_modules(metrics.__path__)
    ]
    defined = {
        found
        for module in modules
        for found in vars(module).values()
        if inspect.isfunction(found) and get_type_hints(found).get("return") == Values
        if [*inspect.signature(found).parameters][:3] == ["predicted", "truth", "void"]
    }
    assert defined == {*METRICS.values()}


@every_metric
def test_the_documents_define_it(name: str) -> None:
    score = METRICS[name]
    row = rf"^\| {re.escape(name)} \| `{score.__module__.rpartition('.')[2]}\.{score.__name__}` \|"
    assert re.search(row, (Path(__file__).parents[2] / "docs/metrics.md").read_text(), re.MULTILINE)


@every_metric
@settings(deadline=None)
@given(masks=mask_pairs())
def test_perfect_is_one_and_nothing_is_beyond(name: str, masks: np.ndarray) -> None:
    score = METRICS[name]
    assert (score(masks, masks) == 1).all()
    assert 0 <= score(*masks) <= 1


@every_metric
def test_rule_for_empty_masks(name: str) -> None:
    score = METRICS[name]
    empty, some = np.zeros((30, 40), np.bool_), np.zeros((30, 40), np.bool_)
    some[5:20, 8:22] = True
    assert score(empty, empty) == 1
    assert score(empty, some) == score(some, empty) == 0


@every_metric
def test_merged_is_whole(name: str) -> None:
    predicted, truth = np.random.default_rng(1).random((2, 2, 7, 12, 15)) > 0.4
    whole = METRICS[name](predicted, truth)
    parts = [METRICS[name](predicted[:, part], truth[:, part]) for part in (slice(0, 3), slice(3, 7))]
    assert whole.shape == (2, 7)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@every_metric
def test_one_pixel(name: str) -> None:
    score = METRICS[name]
    masks = np.zeros((3, 9, 9), np.bool_)
    masks[0, 4, 4] = masks[1, 0, 0] = True
    assert score(masks[0], masks[0]) == score(masks[1], masks[1]) == 1
    assert score(masks[0], masks[1]) == 0
