from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from masklet.errors import EvaluationError
from masklet.metrics.calibration import calibration, merge_calibrations

SHARES = npst.arrays(np.float64, st.tuples(st.just(2), st.integers(2, 30)), elements=st.floats(0, 1))


@given(SHARES, st.integers(1, 29))
def test_merged_is_whole(values: np.ndarray, cut: int) -> None:
    whole = calibration(*values)
    merged = merge_calibrations([calibration(*values[:, :cut]), calibration(*values[:, cut:])])
    np.testing.assert_array_equal(merged.counts, whole.counts)
    assert merged.error == pytest.approx(whole.error, abs=1e-12)


@given(SHARES)
def test_true_estimates_have_no_error(values: np.ndarray) -> None:
    assert calibration(values[0], values[0]).error == 0


def test_error_by_hand() -> None:
    found = calibration(np.array([0.95, 0.95, 0.15, 1.0]), np.array([True, False, False, True]), bins=10)
    assert found.counts == (0, 1, 0, 0, 0, 0, 0, 0, 0, 3)  # 1.0 falls into the last bin
    assert found.error == pytest.approx((abs(2.9 - 2) + 0.15) / 4)


def test_bad_input() -> None:
    with pytest.raises(EvaluationError, match="3 estimates and 2 outcomes"):
        calibration(np.zeros(3), np.zeros(2))
    with pytest.raises(EvaluationError, match=r"estimates reach from 0\.0 to 1\.5"):
        calibration(np.array([0, 1.5]), np.zeros(2))
    with pytest.raises(EvaluationError, match="different numbers of bins"):
        merge_calibrations([calibration(np.zeros(1), np.zeros(1), 5), calibration(np.zeros(1), np.zeros(1), 6)])
    assert np.isnan(calibration(np.zeros(0), np.zeros(0)).error)
