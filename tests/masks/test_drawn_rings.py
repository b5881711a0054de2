"""Polygons for other programs, filled again by their own rules."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from masklet.masks.polygons import drawn_rings

NOISE = npst.arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def by_labelme(rings: list[NDArray[np.float64]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """As `labelme.utils.shape_to_mask` does."""
    mask = np.zeros(size, np.bool_)
    for ring in rings:
        picture = Image.fromarray(np.zeros(size, np.uint8))
        ImageDraw.Draw(picture).polygon(xy=[tuple(point) for point in ring.tolist()], outline=1, fill=1)
        mask |= np.array(picture, np.bool_)
    return mask


def by_ultralytics(rings: list[NDArray[np.float64]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """As `ultralytics.data.utils.polygon2mask` does, from shares of the sides as a label file has them."""
    height, width = size
    mask = np.zeros(size, np.bool_)
    for ring in rings:
        shares = np.array([float(f"{share:.9g}") for share in (ring / (width, height)).reshape(-1)])
        canvas = np.zeros(size, np.uint8)
        cv2.fillPoly(canvas, [(shares.reshape(-1, 2) * (width, height)).astype(np.int32)], 1)
        mask |= canvas > 0
    return mask


RULES = pytest.mark.parametrize("fill", [by_labelme, by_ultralytics])


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def blob(seed: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A smooth random shape, often with holes."""
    heights = cv2.GaussianBlur(np.random.default_rng(seed).random(size), (0, 0), 3)
    return np.asarray(heights > np.quantile(heights, 0.4), np.bool_)


@RULES
@given(mask=NOISE)
def test_masks_of_any_shape_come_back(fill, mask: NDArray[np.bool_]) -> None:  # type: ignore[no-untyped-def]
    rings = drawn_rings(mask)
    assert all(len(ring) >= 3 for ring in rings)
    if mask.any():
        assert iou(fill(rings, mask.shape), mask) >= 0.98
    else:
        assert rings == []


@RULES
@given(mask=NOISE)
def test_with_all_corners_not_a_pixel_is_lost(fill, mask: NDArray[np.bool_]) -> None:  # type: ignore[no-untyped-def]
    assert (fill(drawn_rings(mask, least=1.0), mask.shape) == mask).all()


@RULES
@given(seed=st.integers(0, 1000), height=st.integers(30, 90), width=st.integers(30, 90))
def test_smooth_shapes_come_back_with_few_corners(fill, seed: int, height: int, width: int) -> None:  # type: ignore[no-untyped-def]
    mask = blob(seed, (height, width))
    rings, exact = drawn_rings(mask), drawn_rings(mask, least=1.0)
    assert iou(fill(rings, mask.shape), mask) >= 0.985
    assert sum(map(len, rings)) <= sum(map(len, exact))


def test_a_disc_has_few_corners_and_a_ring_its_hole() -> None:
    y, x = np.mgrid[:200, :200]
    distance = np.hypot(x - 100, y - 100)
    (disc,) = drawn_rings(distance < 60)
    assert len(disc) < 50
    (ring,) = drawn_rings((distance < 60) & (distance > 50))
    for fill in (by_labelme, by_ultralytics):
        assert iou(fill([disc], (200, 200)), distance < 60) > 0.99
        assert iou(fill([ring], (200, 200)), (distance < 60) & (distance > 50)) > 0.98


def test_each_part_is_a_ring_the_longest_first() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[2, 2] = True
    mask[10:30, 10:30] = True
    first, second = drawn_rings(mask)
    assert first.min() == 10.5
    assert first.max() == 29.5
    assert np.floor(second).tolist() == [[2, 2]] * 3
