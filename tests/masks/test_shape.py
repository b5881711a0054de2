"""Non-maximum suppression: the best of each heap stays, and of what is left no two overlap too much."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from masklet.masks.shape import box_iou, suppress


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
