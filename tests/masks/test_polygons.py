"""Polygons and boxes of masks: exact, whatever the mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from masklet.masks.polygons import apart_polygons, mask_polygons, ring_area
from masklet.masks.shape import mask_box
from tests.masks.filling import fill_polygons

Mask = NDArray[np.bool_]
masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(masks)
def test_what_is_filled_is_the_mask(mask: Mask) -> None:
    np.testing.assert_array_equal(fill_polygons(mask_polygons(mask), mask.shape), mask)


@given(masks)
def test_the_area_is_the_number_of_pixels(mask: Mask) -> None:
    parts = mask_polygons(mask)
    assert sum(ring_area(part.outer) - sum(map(ring_area, part.holes)) for part in parts) == mask.sum()


@given(masks)
def test_borders_of_parts_that_lie_apart_touch_themselves_nowhere(mask: Mask) -> None:
    parts = apart_polygons(mask)
    np.testing.assert_array_equal(fill_polygons(parts, mask.shape), mask)
    for ring in (ring for part in parts for ring in (part.outer, *part.holes)):
        assert len(np.unique(ring, axis=0)) == len(ring)


@given(masks)
def test_a_box_holds_the_mask_and_touches_it(mask: Mask) -> None:
    x0, y0, x1, y1 = mask_box(mask)
    assert mask[y0:y1, x0:x1].sum() == mask.sum()
    if mask.any():
        assert mask[y0].any()
        assert mask[y1 - 1].any()
        assert mask[:, x0].any()
        assert mask[:, x1 - 1].any()


@given(masks, st.floats(0.1, 5))
def test_fewer_corners_are_still_polygons(mask: Mask, tolerance: float) -> None:
    exact, rough = mask_polygons(mask), mask_polygons(mask, tolerance)
    assert len(exact) == len(rough)
    for part in rough:
        assert all(len(ring) >= 3 for ring in (part.outer, *part.holes))


def test_a_disc_needs_few_corners() -> None:
    y, x = np.mgrid[:100, :100]
    disc = (y - 50) ** 2 + (x - 50) ** 2 < 40**2
    (exact,), (rough,) = mask_polygons(disc), mask_polygons(disc, 1.0)
    assert len(rough.outer) < len(exact.outer) / 4
    filled = fill_polygons([rough], disc.shape)
    assert (filled & disc).sum() / (filled | disc).sum() > 0.95


def test_one_pixel_has_four_corners() -> None:
    mask = np.zeros((5, 7), np.bool_)
    mask[2, 3] = True
    (part,) = mask_polygons(mask)
    assert sorted(map(tuple, part.outer.tolist())) == [(3, 2), (3, 3), (4, 2), (4, 3)]
    assert mask_box(mask).tolist() == [3, 2, 4, 3]


def test_a_ring_has_a_hole_and_an_island_is_a_part() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[2:18, 2:18] = True
    mask[5:15, 5:15] = False
    mask[9:11, 9:11] = True
    ring, island = mask_polygons(mask)
    assert [len(corners) for corners in (ring.outer, *ring.holes, island.outer)] == [4, 4, 4]
    assert ring_area(ring.holes[0]) == 100
    assert not island.holes


@pytest.mark.parametrize("tolerance", [0.0, 2.0])
def test_an_empty_mask_has_none(tolerance: float) -> None:
    assert mask_polygons(np.zeros((4, 4), np.bool_), tolerance) == []
    assert mask_box(np.zeros((4, 4), np.bool_)).tolist() == [0, 0, 0, 0]
