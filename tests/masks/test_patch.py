"""Patches: masks in their own box are the same masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from masklet.masks.rle import agreement, cut_patch, encode_rle, padded_rle, paste, shared_area, union
from masklet.masks.shape import common_box

SIDES = st.integers(1, 20)
WHOLE = (0, 0, 30, 30)


@st.composite
def masks(draw: st.DrawFn) -> NDArray[np.bool_]:
    """A mask in a corner of a picture of 30 x 30, never empty."""
    mask = np.zeros((30, 30), bool)
    height, width = draw(SIDES), draw(SIDES)
    mask[:height, :width] = np.random.default_rng(draw(st.integers(0, 999))).random((height, width)) < 0.5
    mask[height - 1, 0] = True
    return np.roll(mask, (draw(st.integers(0, 10)), draw(st.integers(0, 10))), axis=(0, 1))


@given(masks())
def test_a_patch_is_its_mask(mask: NDArray[np.bool_]) -> None:
    patch = cut_patch(mask)
    assert patch is not None
    assert (paste(patch, WHOLE) == mask).all()
    assert padded_rle(patch, (0, 0, 30, 30)) == encode_rle(mask)
    assert patch.area == mask.sum()


@given(masks(), masks())
def test_unions_and_agreement_are_those_of_the_masks(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> None:
    a, b = cut_patch(one), cut_patch(other)
    assert a is not None
    assert b is not None
    assert (paste(union([a, b]), WHOLE) == (one | other)).all()
    view = (5, 3, 17, 21)
    seen, too = one[3:21, 5:17], other[3:21, 5:17]
    assert shared_area(a, b) == (one & other).sum()
    assert agreement(a, b, view) == pytest.approx((seen & too).sum() / max(1, (seen | too).sum()))


def test_a_patch_moves_with_its_corner() -> None:
    patch = cut_patch(np.ones((2, 3), bool), (10, 20))
    assert patch is not None
    assert patch.box == (10, 20, 13, 22)
    assert paste(patch, (0, 0, 12, 21)).sum() == 2  # what lies outside of the view is not seen


def test_an_empty_mask_has_no_patch() -> None:
    assert cut_patch(np.zeros((4, 4), bool)) is None


def test_boxes_that_only_touch_share_nothing() -> None:
    assert common_box((0, 0, 5, 5), (5, 0, 9, 5)) is None
    assert common_box((0, 0, 5, 5), (4, 2, 9, 9)) == (4, 2, 5, 5)
