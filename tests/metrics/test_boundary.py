from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masklet.metrics.boundary import (
    adaptive_boundary_accuracy,
    boundary_accuracy,
    disk,
    outline,
    pixels_within,
)
from tests.metrics.conftest import SEQUENCES
from tests.metrics.slow import mask_pairs, slow_boundary, slow_outline


def square(size: tuple[int, int], y: int, x: int, side: int) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


@pytest.mark.parametrize("name", SEQUENCES)
def test_equals_davis(recorded: Mapping[str, np.ndarray], name: str) -> None:
    predicted, truth = recorded[name]
    expected = recorded[f"{name}/frames"][1]
    numbers = np.arange(1, len(expected) + 1)[:, None, None, None]
    ours = boundary_accuracy(predicted == numbers, truth == numbers)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_void_pixels_count_for_nobody(recorded: Mapping[str, np.ndarray]) -> None:
    predicted, truth, void = recorded["void"] == 1
    ours = boundary_accuracy(predicted, truth, void)
    np.testing.assert_allclose(ours, recorded["void/frames"][1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", ["block", "one_px", "full", "corner", "last_corner"])
def test_outlines_are_those_of_davis(recorded: Mapping[str, np.ndarray], case: str) -> None:
    mask, expected = recorded[f"outline/{case}"]
    np.testing.assert_array_equal(outline(mask), expected)


@settings(deadline=None)
@given(mask_pairs(), st.sampled_from([0.008, 0.1, 0.3, 2, 3]))
def test_equals_the_slow_way(masks: np.ndarray, tolerance: float) -> None:
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
