from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from masklet.errors import EvaluationError
from masklet.metrics.tracking import TRACKING, mask_ious, tracking_scores
from tests.metrics.slow import slow_region

pytest.importorskip("trackeval", reason="TrackEval is installed beside the extra `eval`")


def clip() -> np.ndarray:
    """Two squares over eight frames; the second comes late."""
    maps = np.zeros((8, 20, 30), np.uint8)
    for frame in range(8):
        maps[frame, 2:8, frame : frame + 6] = 1
        if frame > 2:
            maps[frame, 12:18, 20 - frame : 26 - frame] = 5
    return maps


def test_perfect_is_one_whatever_the_numbers_are_called() -> None:
    truth = clip()
    predicted = np.where(truth == 1, 9, np.where(truth == 5, 2, 0)).astype(np.uint8)
    found = tracking_scores({"clip": (predicted, truth)})
    assert found == pytest.approx(dict.fromkeys(TRACKING, 1) | {"switches": 0})


def test_a_switch_costs_identity_and_not_detection() -> None:
    truth = clip()
    predicted = truth.copy()
    predicted[4:][truth[4:] == 1] = 7
    found = tracking_scores({"clip": (predicted, truth)})
    assert found["switches"] == 1
    assert found["MOTA"] == pytest.approx(1 - 1 / 13)
    assert found["DetA"] == pytest.approx(1)
    assert found["AssA"] < 1
    assert found["IDF1"] == pytest.approx((4 + 5) / 13)


def test_misses_and_false_masks_over_several_sequences() -> None:
    truth = clip()
    missed, added = truth.copy(), truth.copy()
    missed[truth == 5] = 0
    added[:, 10:12, 0:4] = 3
    found = tracking_scores({"a": (missed, truth), "b": (added, truth)})
    assert found["MOTA"] == pytest.approx(1 - (5 + 8) / 26)


def test_nothing_found() -> None:
    found = tracking_scores({"clip": (0 * clip(), clip())})
    assert (found["MOTA"], found["IDF1"], found["HOTA"]) == (0, 0, 0)


@given(npst.arrays(np.uint8, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)))
def test_ious_of_all_pairs(maps: np.ndarray) -> None:
    predicted, truth = maps
    true_numbers, numbers, ious = mask_ious(predicted, truth)
    assert true_numbers == sorted({*truth.ravel().tolist()} - {0})
    expected = [[slow_region(predicted == ours, truth == theirs) for ours in numbers] for theirs in true_numbers]
    np.testing.assert_allclose(ious, np.array(expected).reshape(ious.shape), atol=1e-12)


def test_unknown_pixels_count_for_nobody() -> None:
    assert mask_ious(np.array([[1, 1, 1]], np.uint8), np.array([[1, 1, 255]], np.uint8))[2].tolist() == [[1.0]]


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvaluationError, match="no sequence to score"):
        tracking_scores({})
    with pytest.raises(EvaluationError, match=r"\(8, 20, 30\) and true ones of \(3, 20, 30\)"):
        tracking_scores({"clip": (clip(), clip()[:3])})
    monkeypatch.setitem(sys.modules, "trackeval.metrics", None)
    with pytest.raises(EvaluationError, match="pip install --no-deps trackeval"):
        tracking_scores({"clip": (clip(), clip())})
