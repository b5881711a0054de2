"""Whether two masks are the same thing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from masklet.masks.shape import mutual_matches, new_things

SIZE = (120, 160)


def box(*corners: int) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    x0, y0, x1, y1 = corners
    mask[y0:y1, x0:x1] = True
    return mask


def test_new_things_lie_outside_of_what_is_known() -> None:
    known = box(0, 0, 40, 120)
    large, part, beside, small = box(50, 0, 100, 100), box(60, 10, 90, 90), box(30, 0, 50, 120), box(150, 0, 152, 2)
    fresh = new_things(iter([large, part, beside, small]), known, least=10, most_known=0.5, room=9)
    assert {place: mask.sum() for place, mask in fresh.items()} == {0: large.sum(), 2: (beside & ~known).sum()}
    assert not any((mask & known).any() for mask in fresh.values())
    assert len(new_things(iter([large, beside]), known, least=10, most_known=0.5, room=1)) == 1
    assert new_things(iter([box(0, 0, 0, 0)]), known, least=0, most_known=1, room=9) == {}


def test_matches_are_each_others_best() -> None:
    values = np.array([[0.9, 0.6, 0.0], [0.8, 0.7, 0.0], [0.0, 0.0, 0.4]])
    assert mutual_matches(values, 0.5) == [(0, 0)]  # the second row prefers a column that prefers another
    assert mutual_matches(values, 0.3) == [(0, 0), (2, 2)]
    assert mutual_matches(np.zeros((0, 3)), 0.5) == []
