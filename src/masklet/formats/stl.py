"""STL: the surfaces of objects of a volume, in millimetres, for printing and for viewers."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.formats.base import Format
from masklet.formats.volume import write_labels
from masklet.geometry import LPS_TO_RAS, Geometry

TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
"""Of binary STL."""

HEADER = b"masklet SPACE=LPS"
"""What stands before; viewers look for the name of the axes there."""


def save_stl(path: Path, labels: NDArray[np.uint16], geometry: Geometry, _: Mapping[int, str]) -> None:
    """The faces of each object's voxels as triangles, counter-clockwise from outside: every surface is closed and holds
    as much as its voxels. Axes are those of DICOM: left, back, up."""
    triangles = [_surface(labels == number, geometry) for number in np.unique(labels) if number]
    with path.open("wb") as file:
        file.write(HEADER.ljust(80, b" "))
        file.write(np.uint32(sum(map(len, triangles))).tobytes())
        for part in triangles:
            file.write(part.tobytes())


def _surface(mask: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.void]:
    """The triangles of one object, bool (I, J, K)."""
    affine, padded = LPS_TO_RAS @ geometry.affine, np.pad(mask, 1)
    mirrored = np.linalg.det(affine[:3, :3]) < 0
    found = []
    for axis in range(3):
        for side in (-1, 1):
            places = np.argwhere(padded & ~np.roll(padded, -side, axis)) - 1
            across, down = np.eye(3)[(axis + 1) % 3] / 2, np.eye(3)[(axis + 2) % 3] / 2
            middle = places + np.eye(3)[axis] * side / 2
            square = [middle + a * across + b * down for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            if (side < 0) != mirrored:
                square.reverse()
            found += [np.stack([square[n] for n in corners], axis=1) for corners in ((0, 1, 2), (0, 2, 3))]
    corners = np.concatenate(found) @ affine[:3, :3].T + affine[:3, 3]
    triangles = np.zeros(len(corners), TRIANGLE)
    triangles["corners"] = corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    triangles["normal"] = normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    return triangles


STL = Format(
    name="stl",
    help="STL: the surfaces of the objects of a volume",
    open=partial(write_labels, save=save_stl),
    video=".stl",
    in_space=True,
)
