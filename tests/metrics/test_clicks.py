from __future__ import annotations

import numpy as np
import pytest

from masklet.errors import EvaluationError
from masklet.metrics.clicks import Clicks, clicks_to_reach, iou_after, number_of_clicks

IOUS = np.array([[0.5, 0.86, 0.95], [0.9, 0.7, 0.9], [0.1, 0.2, 0.3]])


def test_clicks_until_the_target_is_first_reached() -> None:
    assert clicks_to_reach(IOUS, 0.85).tolist() == [2, 1, 3]
    assert clicks_to_reach(IOUS[0], 0.9) == 3


def test_an_object_that_never_gets_there_counts_with_all_its_clicks() -> None:
    assert number_of_clicks(IOUS, 0.85) == Clicks(target=0.85, mean=2.0, failed=1, count=3)
    assert number_of_clicks(IOUS, 0.99).failed == 3


def test_perfect_takes_one_click() -> None:
    assert number_of_clicks(np.ones((4, 20)), 0.9).mean == 1


def test_iou_after_clicks() -> None:
    assert iou_after(IOUS, 1) == pytest.approx(0.5)
    assert iou_after(IOUS, 3) == pytest.approx((0.95 + 0.9 + 0.3) / 3)
    with pytest.raises(EvaluationError, match="after 4 clicks; there are values for 1 to 3"):
        iou_after(IOUS, 4)
    with pytest.raises(EvaluationError, match=r"\(0, 3\) say nothing"):
        number_of_clicks(IOUS[:0], 0.9)
