from __future__ import annotations

import math
import sys
from dataclasses import astuple

import numpy as np
import pytest

from masklet.errors import EvaluationError
from masklet.metrics.detection import Picture, average_precision

pytest.importorskip("pycocotools", reason="pycocotools is of the extra `eval`")


def squares(*places: tuple[int, int, int]) -> np.ndarray:
    masks = np.zeros((len(places), 120, 160), np.bool_)
    for mask, (y, x, side) in zip(masks, places, strict=True):
        mask[y : y + side, x : x + side] = True
    return masks


TRUTH = squares((5, 5, 20), (40, 10, 50), (10, 50, 100))


def test_perfect_is_one_in_every_size() -> None:
    found = average_precision([Picture(TRUTH, np.array([0.9, 0.8, 0.7]), TRUTH)])
    assert astuple(found) == pytest.approx((1,) * 7)


def test_a_false_mask_costs_by_its_score() -> None:
    predicted = np.concatenate([TRUTH, squares((90, 0, 20))])
    last = average_precision([Picture(predicted, np.array([0.9, 0.8, 0.7, 0.1]), TRUTH)])
    first = average_precision([Picture(predicted, np.array([0.5, 0.4, 0.3, 0.9]), TRUTH)])
    assert last.ap == 1
    assert first.ap == pytest.approx(0.75, abs=0.01)  # one of four is wrong from the start


def test_loose_masks_fail_the_strict_thresholds() -> None:
    loose = squares((5, 5, 20), (40, 10, 55), (10, 50, 100))  # IoU 0.826
    found = average_precision([Picture(loose, np.ones(3), TRUTH)])
    assert found.ap50 == found.ap75 == 1
    assert found.medium == pytest.approx(0.7)


def test_nothing_found_and_nothing_there() -> None:
    assert average_precision([Picture(TRUTH[:0], np.zeros(0), TRUTH)]).ap == 0
    assert math.isnan(average_precision([Picture(TRUTH[:0], np.zeros(0), TRUTH[:0])]).ap)
    assert average_precision([Picture(0 * TRUTH > 0, np.ones(3), TRUTH)]).ap == 0  # empty masks match nothing


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    average_precision([Picture(TRUTH, np.ones(3), TRUTH)])
    assert capsys.readouterr().out == ""


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvaluationError, match="no picture to score"):
        average_precision([])
    with pytest.raises(EvaluationError, match="2 scores"):
        average_precision([Picture(TRUTH, np.ones(2), TRUTH)])
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(EvaluationError, match=r'pip install "masklet\[eval\]"'):
        average_precision([Picture(TRUTH, np.ones(3), TRUTH)])
