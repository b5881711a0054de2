"""Dice and surface distances of volumes, on shapes whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from masklet.errors import EvaluationError
from masklet.metrics.volume import dice, surface_distances

SPACING = (1.0, 2.0, 3.0)


def cube(x: int, y: int = 4, z: int = 4) -> np.ndarray:
    mask = np.zeros((24, 16, 14), bool)
    mask[x : x + 6, y : y + 5, z : z + 4] = True
    return mask


def test_a_shifted_cube_has_known_values() -> None:
    one, other = cube(4), cube(7)
    assert dice(one, other) == pytest.approx(0.5)
    assert dice(one, one) == 1
    same = surface_distances(one, one, SPACING)
    assert (same.nsd, same.hd95, same.mean) == (1, 0, 0)
    far = surface_distances(one, other, SPACING, tolerance=2.9)
    assert far.hd95 == 3
    assert 0 < far.nsd < 1
    assert surface_distances(one, other, SPACING, tolerance=3).nsd == 1
    assert surface_distances(one, other, (2, 2, 2), tolerance=3).nsd < 1, "spacing counts"


def test_distances_are_those_of_simpleitk() -> None:
    rng = np.random.default_rng(0)
    one, other = cube(4), cube(6, 5, 5) | (rng.random((24, 16, 14)) > 0.995)
    found = surface_distances(one, other, SPACING)
    surfaces = []
    for mask in (one, other):
        image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
        eroded = SimpleITK.GetArrayFromImage(SimpleITK.BinaryErode(image, (1, 1, 1), SimpleITK.sitkCross, 0, 1, False))
        surfaces.append(mask & (eroded == 0))
    places = [np.argwhere(surface) * SPACING for surface in surfaces]
    apart = np.linalg.norm(places[0][:, None] - places[1][None], axis=2)
    both = np.concatenate((apart.min(axis=1), apart.min(axis=0)))
    assert found.mean == pytest.approx(both.mean())
    assert found.nsd == pytest.approx((both <= 2).mean())
    assert found.hd95 == pytest.approx(max(np.percentile(apart.min(axis=axis), 95) for axis in (0, 1)))


def test_rules_for_empty_masks() -> None:
    nothing, some = np.zeros((24, 16, 14), bool), cube(3)
    assert dice(nothing, nothing) == 1
    assert dice(some, nothing) == 0
    assert surface_distances(nothing, nothing, SPACING).nsd == 1
    beside = surface_distances(some, nothing, SPACING)
    assert (beside.nsd, beside.hd95, beside.mean) == (0, np.inf, np.inf)


def test_wrong_calls() -> None:
    with pytest.raises(EvaluationError, match="give two of one shape"):
        dice(cube(3), cube(3)[1:])
    with pytest.raises(EvaluationError, match="give arrays of bool"):
        dice(cube(3).astype(int), cube(3))
    with pytest.raises(EvaluationError, match="give a length over 0 for each of 3 axes"):
        surface_distances(cube(3), cube(3), (1, 0, 1))
