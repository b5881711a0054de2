"""Boxes and whether masks are the same thing. Of a heap the best stays, and of what is left no two overlap too much."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from masklet.masks.shape import (
    box_iou,
    mutual_matches,
    new_things,
    same_thing,
    suppress,
    without_islands,
)


@st.composite
def heaps(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes, some without area, and scores, some equal."""
    count = draw(st.integers(0, 25))
    corners = draw(arrays(np.int64, (count, 2), elements=st.integers(0, 20)))
    sides = draw(arrays(np.int64, (count, 2), elements=st.integers(0, 12)))
    scores = draw(arrays(np.float64, (count,), elements=st.sampled_from([0.1, 0.5, 0.9])))
    return np.concatenate((corners, corners + sides), axis=1).astype(np.float64), scores


@given(heaps(), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_what_stays_and_what_goes(heap: tuple[NDArray[np.float64], NDArray[np.float64]], most: float) -> None:
    boxes, scores = heap
    kept = suppress(boxes, scores, most)
    assert len(set(kept.tolist())) == len(kept)
    assert (np.diff(scores[kept]) <= 0).all()
    for place, row in enumerate(kept):
        assert (box_iou(boxes[row], boxes[kept[:place]]) <= most).all()
    for row in set(range(len(boxes))) - set(kept.tolist()):
        better = [k for k in kept if (-scores[k], k) < (-scores[row], row)]
        assert (box_iou(boxes[row], boxes[better]) > most).any()


def test_of_equal_scores_the_earlier_stays() -> None:
    assert suppress([[0, 0, 4, 4], [0, 0, 4, 4], [9, 9, 12, 12]], [0.5, 0.5, 0.5], 0.7).tolist() == [0, 2]


def test_boxes_without_area_are_no_ones_double() -> None:
    assert suppress([[3, 3, 3, 9], [3, 3, 3, 9]], [0.9, 0.8], 0.7).tolist() == [0, 1]


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


def test_the_same_thing_is_the_one_that_agrees_best() -> None:
    known = {"large": box(0, 0, 40, 40), "small": box(0, 0, 12, 12)}
    assert same_thing(box(0, 0, 10, 10), known) == "small"
    assert same_thing(box(0, 0, 30, 40), known) == "large"
    assert same_thing(box(50, 50, 60, 60), known) is None
    assert same_thing(box(0, 0, 10, 10), {}) is None


def test_of_many_parts_the_large_ones_stay_and_of_small_ones_the_largest() -> None:
    mask = np.zeros((12, 12), bool)
    mask[0:4, 0:4] = mask[6:8, 0:2] = mask[6:7, 6:9] = mask[10, 10] = True  # 16, 4, 3 and 1 pixels
    for least, areas in ((1, 24), (2, 23), (4, 20), (5, 16), (99, 16)):
        kept = without_islands(mask, least)
        assert (kept.sum(), (kept & ~mask).sum(), kept[0, 0]) == (areas, 0, True)


def test_box_iou_by_hand() -> None:
    box, others = np.array([0.0, 0, 4, 2]), np.array([[2.0, 1, 6, 5], [0, 0, 4, 2], [4, 0, 8, 2]])
    assert box_iou(box, others).tolist() == [2 / 22, 1, 0]
