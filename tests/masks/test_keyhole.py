"""Parts and holes in one ring: filled by the even-odd rule it is the mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from masklet.masks.keyhole import one_ring
from masklet.masks.polygons import mask_polygons

masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 10), st.integers(1, 10)))


def even_odd(ring: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre has an odd number of edges to its left."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.zeros(size, np.bool_)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (min(y0, y1) <= rows) & (rows < max(y0, y1))
            inside ^= crosses & (x0 + (rows - y0) * (x1 - x0) / (y1 - y0) < columns)
    return inside


@given(masks)
def test_one_ring_is_the_whole_mask(mask: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(even_odd(one_ring(mask_polygons(mask)), mask.shape), mask)


def test_no_mask_has_no_corner() -> None:
    assert one_ring([]).shape == (0, 2)
