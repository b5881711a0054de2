"""Crops and points: the picture is covered, and nothing lies outside of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from masklet.image.everything import is_cut_by_crop, plan_crops, point_grid


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 3), st.floats(0, 0.9))
def test_crops_of_each_layer_cover_the_picture(height: int, width: int, layers: int, overlap: float) -> None:
    crops = plan_crops((height, width), layers, overlap)
    assert crops[0].box == (0, 0, width, height)
    for layer in range(layers + 1):
        seen = np.zeros((height, width), bool)
        for crop in crops:
            x0, y0, x1, y1 = crop.box
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            if crop.layer == layer:
                seen[y0:y1, x0:x1] = True
        assert seen.all()


@given(st.integers(1, 40))
def test_points_lie_in_the_middle_of_their_cells(side: int) -> None:
    grid = point_grid(side)
    assert grid.shape == (side * side, 2)
    np.testing.assert_allclose(grid[0], 0.5 / side)
    np.testing.assert_allclose(grid.mean(axis=0), 0.5)
    assert (np.floor(grid * side) == [(x, y) for y in range(side) for x in range(side)]).all()


def test_a_thing_is_cut_at_a_side_of_its_crop_but_not_at_one_of_the_picture() -> None:
    crop, size = (100, 0, 200, 100), (100, 400)
    assert is_cut_by_crop((150, 40, 198, 60), crop, size)
    assert is_cut_by_crop((101, 40, 130, 60), crop, size)
    assert not is_cut_by_crop((140, 0, 160, 100), crop, size)  # from the top to the bottom of the picture itself
    assert not is_cut_by_crop((140, 40, 160, 60), crop, size)
