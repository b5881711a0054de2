"""Soft edges follow the picture, and leave alone what lies away from the edge."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from masklet.errors import PromptError
from masklet.masks.finish import Finish, SoftEdges, finished_alpha, guided, mask_alpha


def hair() -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """A dark disc with thin dark hairs before a bright wall; a mask of the disc alone; and what is dark."""
    rows, columns = np.mgrid[:120, :160]
    disc = (rows - 60) ** 2 + (columns - 80) ** 2 < 35**2
    hairs = (columns % 6 == 0) & (rows < 60) & (rows > 14) & (np.abs(columns - 80) < 30)
    image = np.full((120, 160, 3), (230, 220, 200), np.uint8)
    image[disc | hairs] = (40, 30, 30)
    return image, disc, disc | hairs


def test_hair_beside_the_mask_is_taken_up() -> None:
    image, mask, dark = hair()
    alpha = mask_alpha(image, mask, SoftEdges(radius=12, epsilon=1e-4))
    near = np.zeros_like(mask)
    near[18:26, 70:90] = True  # just above the disc
    assert alpha[near & dark & ~mask].mean() > 0.3
    assert alpha[near & ~dark].max() < 0.1


def test_away_from_the_edge_nothing_changes() -> None:
    image, mask, _ = hair()
    noisy = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
    for picture in (image, noisy):
        alpha = mask_alpha(picture, mask, SoftEdges(radius=5))
        assert alpha[55:65, 75:85].min() > 0.999
        assert alpha[:8].max() == 0
        assert alpha[:, :20].max() == 0


def test_a_part_of_a_picture_gives_the_same() -> None:
    """Only the surroundings of the mask are filtered; that is not to be seen."""
    image, mask, _ = hair()
    wide = np.pad(image, ((90, 70), (80, 100), (0, 0)), mode="edge")
    around = mask_alpha(wide, np.pad(mask, ((90, 70), (80, 100))), SoftEdges(radius=4))
    np.testing.assert_allclose(around[90:210, 80:240], mask_alpha(image, mask, SoftEdges(radius=4)), atol=1e-3)


@settings(deadline=None)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.integers(1, 5))
def test_alpha_is_a_share(mask: NDArray[np.bool_], radius: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), np.uint8)
    alpha = mask_alpha(image, mask, SoftEdges(radius=radius))
    assert alpha.shape == mask.shape
    assert alpha.dtype == np.float32
    assert np.isfinite(alpha).all()
    assert ((alpha >= 0) & (alpha <= 1)).all()
    if mask.all() or not mask.any():
        np.testing.assert_allclose(alpha, mask, atol=1e-4)


@pytest.mark.parametrize(("side", "width", "radius"), [(20, 240, 2), (200, 640, 10), (200, 320, 5)])
def test_the_radius_goes_by_the_side_of_the_mask(side: int, width: int, radius: int) -> None:
    """A twentieth of it, at most a sixty-fourth of the picture's, and never less than 2."""
    image = np.random.default_rng(1).integers(0, 256, (240, width, 3), np.uint8)
    mask = np.zeros((240, width), bool)
    mask[10 : 10 + side, 10 : 10 + side // 2] = True
    np.testing.assert_array_equal(mask_alpha(image, mask), mask_alpha(image, mask, SoftEdges(radius=radius)))
    assert not np.array_equal(mask_alpha(image, mask), mask_alpha(image, mask, SoftEdges(radius=radius - 1)))


def test_hard_edges_are_the_mask() -> None:
    image, mask, _ = hair()
    np.testing.assert_array_equal(mask_alpha(image, mask, "hard"), mask)


@pytest.mark.parametrize("pixels", [1, 4, 30, -1, -4, -30])
@pytest.mark.parametrize("box", [(0, 0, 9, 12), (20, 15, 50, 40), (55, 30, 80, 60), (0, 0, 80, 60), (3, 3, 3, 3)])
def test_an_edge_moves_by_a_disc_wherever_the_thing_lies(box: tuple[int, int, int, int], pixels: int) -> None:
    """Only the surroundings of the thing are looked at: that changes nothing."""
    logits = np.full((60, 80), -9, np.float32)
    logits[box[1] : box[3], box[0] : box[2]] = 9
    soft = finished_alpha(np.zeros((60, 80, 3), np.uint8), logits, Finish())
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    expected = (cv2.dilate if pixels > 0 else cv2.erode)(soft, disc)
    found = finished_alpha(np.zeros((60, 80, 3), np.uint8), logits, Finish(grow=pixels))
    np.testing.assert_array_equal(found, expected)


def test_the_filter_is_that_of_the_paper() -> None:
    """One window, solved as a ridge regression by NumPy."""
    random = np.random.default_rng(1)
    guide, values = random.random((7, 7, 3), np.float32), random.random((7, 7), np.float32)
    colors, radius, epsilon = guide.astype(np.float64), 1, 0.01
    lines = np.zeros((7, 7, 4))
    for y in range(1, 6):
        for x in range(1, 6):
            c = colors[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
            v = values[y - 1 : y + 2, x - 1 : x + 2].reshape(-1)
            cov = np.cov(c.T, bias=True) + epsilon * np.eye(3)
            slope = np.linalg.solve(cov, ((c - c.mean(0)) * (v - v.mean())[:, None]).mean(0))
            lines[y, x] = *slope, v.mean() - slope @ c.mean(0)
    line = lines[2:5, 2:5].mean(axis=(0, 1))
    expected = line[:3] @ colors[3, 3] + line[3]
    assert guided(guide, values, radius, epsilon)[3, 3] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SoftEdges(radius=0), "radius is 0; give at least 1 pixel, a whole number, or None"),
        (lambda: SoftEdges(epsilon=0), "epsilon is 0; give a number over 0"),
        (lambda: SoftEdges(epsilon=float("nan")), "epsilon is nan"),
        (lambda: mask_alpha(hair()[0], hair()[1], "sfot"), "edges is 'sfot'; give 'hard', 'soft' or SoftEdges"),
    ],
)
def test_options_that_make_no_sense(make: Any, sentence: str) -> None:
    with pytest.raises(PromptError, match=sentence):
        make()
