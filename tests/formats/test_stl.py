"""STL: closed surfaces in millimetres that hold as much as their voxels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masklet.formats.base import PlainFrame, mask_only
from masklet.formats.registry import writer
from masklet.formats.space import STL_TRIANGLE
from masklet.geometry import LPS_TO_RAS, Geometry
from tests.media.test_volume import OBLIQUE, SHAPE, inside


def read_stl(path: Path) -> np.ndarray:
    """Triangles (N, 3, 3), by another reading of the format."""
    data = path.read_bytes()
    assert data.startswith(b"masklet SPACE=LPS")
    count = int.from_bytes(data[80:84], "little")
    assert len(data) == 84 + 50 * count
    return np.frombuffer(data[84:], STL_TRIANGLE)["corners"].astype(np.float64)


@settings(max_examples=4, deadline=None)
@given(OBLIQUE, st.sampled_from([1, -1]), st.sampled_from([0, 2]))
def test_the_surface_is_closed_and_holds_the_voxels(
    tmp_path_factory: pytest.TempPathFactory, turned: np.ndarray, mirrored: int, axis: int
) -> None:
    affine, path = turned @ np.diag([mirrored, 1, 1, 1]), tmp_path_factory.mktemp("stl") / "a.stl"
    ellipsoid = inside(turned)
    geometry = Geometry(affine, SHAPE, axis, Path("scan"))
    size = (SHAPE[geometry.shown[1]], SHAPE[geometry.shown[0]])
    with writer("stl", path, size=size, geometry=geometry) as sink:
        for frame in range(SHAPE[axis]):
            mask = np.take(ellipsoid, frame, axis).T
            sink.write(PlainFrame(frame, 0.0, size, {1: mask_only(mask)}, {1: 1}))
    corners = read_stl(path)
    signed = np.einsum("ni,ni->n", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert signed / 1000 == pytest.approx(ellipsoid.sum() * geometry.voxel, rel=1e-3), "outward, so over 0"
    edges = Counter(
        (tuple(one), tuple(two))
        for triangle in corners.round(3)
        for one, two in zip(triangle, np.roll(triangle, -1, axis=0), strict=True)
    )
    assert all(edges[two, one] == count for (one, two), count in edges.items()), "each edge has its other side"
    voxels = np.linalg.solve(LPS_TO_RAS @ affine, np.column_stack((corners[:, 0], np.ones(len(corners)))).T)[:3]
    places = np.argwhere(ellipsoid)
    np.testing.assert_allclose(voxels.min(axis=1), places.min(axis=0) - 0.5, atol=1e-3)
    np.testing.assert_allclose(voxels.max(axis=1), places.max(axis=0) + 0.5, atol=1e-3)
