from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple

import numpy as np
import pytest

from masklet.errors import EvaluationError
from masklet.metrics.sequence import RegionAndBoundary, Summary, average, seen_and_unseen, summarise


@pytest.mark.parametrize("case", ["a", "b", "c", "d", "e"])
def test_equals_davis(recorded: Mapping[str, np.ndarray], case: str) -> None:
    ours = astuple(summarise(recorded[f"statistics/{case}/values"]))
    np.testing.assert_allclose(ours, recorded[f"statistics/{case}/expected"], rtol=0, atol=1e-9)


def test_long_sequences_have_a_decay(recorded: Mapping[str, np.ndarray]) -> None:
    values = recorded["statistics/f_300_frames_uint8_wrap/values"]
    mean, recall, decay = recorded["statistics/f_300_frames_uint8_wrap/expected"]
    ours = summarise(values)
    assert (ours.mean, ours.recall) == (pytest.approx(mean, abs=1e-9), pytest.approx(recall, abs=1e-9))
    assert np.isnan(decay)  # the published tool counts frames in 8 bits
    assert ours.decay == pytest.approx(values[:76].mean() - values[224:].mean())


def test_recall_is_above_a_half() -> None:
    assert summarise([0.5, 0.5, 0.51, 1.0]).recall == 0.5


def test_objects_count_alike() -> None:
    region, boundary = Summary(1.0, 1.0, 0.0), Summary(0.0, 0.0, 0.5)
    assert average([region, boundary]) == Summary(0.5, 0.5, 0.25)
    assert RegionAndBoundary(region, boundary).mean == 0.5


def test_g_is_the_mean_of_four() -> None:
    found = seen_and_unseen([(0.8, 0.6), (0.6, 0.4), (0.1, 0.3)], [False, False, True])
    assert astuple(found) == pytest.approx((0.7, 0.1, 0.5, 0.3))
    assert found.overall == pytest.approx(0.4)
    assert np.isnan(seen_and_unseen([(0.8, 0.6)], [False]).overall)


def test_nothing_has_no_mean() -> None:
    with pytest.raises(EvaluationError, match=r"values of the shape \(0,\) have no mean"):
        summarise([])
    with pytest.raises(EvaluationError, match="no object to average over"):
        average([])
