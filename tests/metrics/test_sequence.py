from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from masklet.errors import EvaluationError
from masklet.metrics.sequence import VOID, Measured, join_measures, measure_masks, measure_sequence, with_objects

MAPS = npst.arrays(
    np.uint8,
    st.tuples(st.just(2), st.integers(2, 5), st.integers(1, 6), st.integers(1, 6)),
    elements=st.sampled_from([0, 0, 1, 2, 7, VOID]),
)


def assert_equal(one: Measured, other: Measured) -> None:
    assert one.objects == other.objects
    for name in ("region", "boundary", "truth_area", "predicted_area"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(deadline=None)
@given(MAPS, st.integers(1, 4))
def test_merged_is_whole(maps: np.ndarray, cut: int) -> None:
    parts = [measure_sequence(*maps[:, :cut]), measure_sequence(*maps[:, cut:])]
    assert_equal(join_measures(parts), measure_sequence(*maps))


def test_an_object_that_is_missing_from_the_prediction_is_empty_there() -> None:
    truth = np.zeros((2, 6, 6), np.uint8)
    truth[:, 1:3, 1:3] = 1
    truth[1, 4, 4] = 3
    predicted = np.where(truth == 1, truth, 0).astype(np.uint8)
    found = measure_sequence(predicted, truth)
    assert found.objects == (1, 3)
    assert found.region.tolist() == [[1, 1], [1, 0]]  # object 3 is absent from both in the first frame
    assert found.boundary.tolist() == [[1, 1], [1, 0]]
    assert found.truth_area.tolist() == [[4, 4], [0, 1]]
    assert found.predicted_area.tolist() == [[4, 4], [0, 0]]


def test_unknown_pixels_count_for_nobody() -> None:
    truth = np.array([[[1, 1, VOID, 0]]], np.uint8)
    predicted = np.array([[[1, 1, 1, 0]]], np.uint8)
    assert measure_sequence(predicted, truth).region.tolist() == [[1.0]]
    assert measure_sequence(predicted, truth).objects == (1,)


def test_wide_numbers() -> None:
    truth = np.full((1, 3, 3), 40_000, np.uint16)
    assert measure_sequence(truth, truth).objects == (40_000,)


def test_masks_may_overlap() -> None:
    mask = np.zeros((5, 5), np.bool_)
    mask[1:4, 1:4] = True
    found = measure_masks({"cup": mask}, {"cup": mask, "hand": mask})
    assert found.objects == ("cup", "hand")
    assert found.region.tolist() == [[1.0], [0.0]]
    assert measure_masks({}, {}).region.shape == (0, 1)


def test_chosen_objects() -> None:
    truth = np.array([[[1, 2]]], np.uint8)
    found = with_objects(measure_sequence(truth, truth), (2, 9))
    assert found.objects == (2, 9)
    assert found.truth_area.tolist() == [[1], [0]]
    assert found.region.tolist() == [[1.0], [1.0]]
    assert join_measures([]).frame_count == 0


def test_what_does_not_fit_is_named() -> None:
    maps = np.zeros((2, 4, 5), np.uint8)
    with pytest.raises(EvaluationError, match=r"\(2, 4, 5\) and true ones of \(1, 4, 5\); give two of one shape"):
        measure_sequence(maps, maps[:1])
    with pytest.raises(EvaluationError, match="predicted maps of the type int64; give uint8 or uint16"):
        measure_sequence(maps.astype(np.int64), maps)  # type: ignore[arg-type]
