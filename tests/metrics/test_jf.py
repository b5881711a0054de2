"""J and F, the region's similarity and the boundary's accuracy, against DAVIS' own values and slow loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masklet.errors import EvaluationError
from masklet.metrics.jf import (
    adaptive_boundary_accuracy,
    area,
    boundary_accuracy,
    disk,
    outline,
    pixels_within,
    region_similarity,
)
from tests.metrics.conftest import SEQUENCES
from tests.metrics.slow import mask_pairs, slow_boundary, slow_outline, slow_region

each_measure = pytest.mark.parametrize(("measure", "row"), [(region_similarity, 0), (boundary_accuracy, 1)])


def square(size: tuple[int, int], y: int, x: int, side: int) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


@each_measure
@pytest.mark.parametrize("name", SEQUENCES)
def test_equals_davis(
    recorded: Mapping[str, np.ndarray], name: str, measure: Callable[..., np.ndarray], row: int
) -> None:
    predicted, truth = recorded[name]
    expected = recorded[f"{name}/frames"][row]
    numbers = np.arange(1, len(expected) + 1)[:, None, None, None]
    np.testing.assert_allclose(measure(predicted == numbers, truth == numbers), expected, rtol=0, atol=1e-9)


@each_measure
def test_void_pixels_count_for_nobody(
    recorded: Mapping[str, np.ndarray], measure: Callable[..., np.ndarray], row: int
) -> None:
    masks = recorded["void"] == 1
    np.testing.assert_allclose(measure(*masks), recorded["void/frames"][row], rtol=0, atol=1e-9)


@given(mask_pairs())
def test_region_equals_the_slow_way(masks: np.ndarray) -> None:
    assert region_similarity(*masks) == pytest.approx(slow_region(*masks), abs=1e-12)
    assert area(masks).tolist() == [int(mask.sum()) for mask in masks]


def test_leading_axes_are_kept() -> None:
    masks = np.random.default_rng(0).random((2, 3, 4, 5, 6)) > 0.5
    values = region_similarity(*masks)
    assert values.shape == (3, 4)
    assert values[2, 1] == region_similarity(masks[0, 2, 1], masks[1, 2, 1])
    assert region_similarity(masks[0, :0], masks[1, :0]).shape == (0, 4)


def test_what_does_not_fit_is_named() -> None:
    mask = np.zeros((4, 5), np.bool_)
    with pytest.raises(EvaluationError, match=r"\(4, 5\) and true ones of \(5, 4\); give two of one shape"):
        region_similarity(mask, mask.T)
    with pytest.raises(EvaluationError, match="uint8 and bool; give arrays of bool"):
        region_similarity(mask.astype(np.uint8), mask)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", ["block", "one_px", "full", "corner", "last_corner"])
def test_outlines_are_those_of_davis(recorded: Mapping[str, np.ndarray], case: str) -> None:
    mask, expected = recorded[f"outline/{case}"]
    np.testing.assert_array_equal(outline(mask), expected)


@settings(deadline=None)
@given(mask_pairs(), st.sampled_from([0.008, 0.1, 0.3, 2, 3]))
def test_boundary_equals_the_slow_way(masks: np.ndarray, tolerance: float) -> None:
    ours = boundary_accuracy(*masks, tolerance=tolerance)
    assert ours == pytest.approx(slow_boundary(*masks, tolerance=tolerance), abs=1e-12)
    assert {*zip(*(axis.tolist() for axis in np.nonzero(outline(masks[0]))), strict=True)} == slow_outline(masks[0])


@pytest.mark.parametrize(
    ("size", "pixels"), [((37, 53), 1), ((60, 90), 1), ((120, 213), 2), ((480, 854), 8), ((1080, 1920), 18)]
)
def test_tolerance_in_pixels(size: tuple[int, int], pixels: int) -> None:
    assert pixels_within(0.008, size) == pixels
    assert pixels_within(3, size) == 3


def test_disk() -> None:
    assert disk(0).tolist() == [[1]]
    assert disk(2).tolist() == [[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]


def test_a_mask_of_the_whole_picture_has_no_outline() -> None:
    whole, empty = np.ones((6, 8), np.bool_), np.zeros((6, 8), np.bool_)
    assert boundary_accuracy(whole, empty) == 1
    assert boundary_accuracy(whole, square((6, 8), 2, 2, 2)) == 0


def test_a_pixel_in_the_last_corner_has_one_neighbour_that_knows() -> None:
    corner, other = np.zeros((5, 5), np.bool_), np.zeros((5, 5), np.bool_)
    corner[4, 4] = other[0, 0] = True
    assert outline(corner).sum() == 3
    assert boundary_accuracy(corner, corner) == 1
    assert boundary_accuracy(corner, other) == 0


def test_small_objects_must_be_met_more_closely() -> None:
    size = (480, 854)
    truth, near = square(size, 200, 300, 20), square(size, 206, 306, 20)
    assert boundary_accuracy(near, truth) > 0.9  # 8 pixels are allowed
    assert adaptive_boundary_accuracy(near, truth) < 0.3  # 2 pixels are
    large, near = square(size, 100, 300, 300), square(size, 106, 306, 300)
    assert adaptive_boundary_accuracy(near, large) == boundary_accuracy(near, large)
