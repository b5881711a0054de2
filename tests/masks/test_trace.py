"""Masks traced from low-resolution logits: the same as stretched and compared pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from masklet.masks.rle import cut_patch, paste, patch_of, stretch, trace

SIDES = st.integers(1, 40)


@st.composite
def stretchings(draw: st.DrawFn) -> tuple[NDArray[np.float32], tuple[int, int], float]:
    """Logits, a picture's size, a threshold; whole numbers often lie on the threshold."""
    logits = np.random.default_rng(draw(st.integers(0, 2**32))).normal(size=(draw(SIDES), draw(SIDES))) * 4
    whole = draw(st.booleans())
    return (np.rint(logits) if whole else logits).astype(np.float32), (draw(SIDES), draw(SIDES)), draw(THRESHOLDS)


THRESHOLDS = st.sampled_from([0.0, 1.0, -2.0, 30.0, -30.0])


@given(stretchings())
def test_the_mask_is_that_of_stretched_logits(case: tuple[NDArray[np.float32], tuple[int, int], float]) -> None:
    logits, (height, width), threshold = case
    full = cv2.resize(logits.astype(np.float64), (width, height), interpolation=cv2.INTER_LINEAR)
    runs = trace(stretch(logits, (height, width), threshold), threshold)
    patch = patch_of(runs)
    mask = paste(patch, (0, 0, width, height)) if patch else np.zeros((height, width), bool)
    certain = np.abs(full - threshold) > 1e-5  # on the threshold itself rounding decides
    assert (mask == (full > threshold))[certain].all()
    assert runs.area() == mask.sum()
    assert patch == cut_patch(mask)


def test_a_patch_lies_where_its_corner_is() -> None:
    logits = np.full((4, 4), -1, np.float32)
    logits[1:3, 1:3] = 1
    runs = trace(stretch(logits, (8, 8), 0), 0)
    patch = patch_of(runs, (100, 200))
    assert patch is not None
    assert patch.box == (102, 202, 106, 206)
    assert patch.area == runs.area() == 16


def test_nothing_above_the_threshold_is_no_patch() -> None:
    runs = trace(stretch(np.zeros((4, 4), np.float32), (8, 8), 0), 0)
    assert (runs.area(), patch_of(runs)) == (0, None)


def test_a_lower_threshold_sees_the_same_columns() -> None:
    """The lowest threshold that is asked for decides which columns are kept; higher ones lose nothing."""
    logits = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
    for threshold in (-1.0, 0.0, 1.0):
        together = trace(stretch(logits, (50, 70), -1.0), threshold)
        alone = trace(stretch(logits, (50, 70), threshold), threshold)
        assert patch_of(together) == patch_of(alone)
