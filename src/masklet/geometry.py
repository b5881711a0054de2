"""Where the voxels of a volume lie, and where the pixels of a picture lie on the ground."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import MediaError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM and ITK count x to the left and y to the back."""


@dataclass(frozen=True)
class Ground:
    """Where the pixels of a picture lie on the ground.

    Attributes:
        crs: The coordinate reference system, as WKT or such as "EPSG:32632".
        transform: (a, b, c, d, e, f): the corner (x, y) between pixels lies at (a x + b y + c, d x + e y + f). Corner
            (0, 0) is the outer one of the top-left pixel.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]

    def places(self, corners: ArrayLike) -> NDArray[np.float64]:
        """(P, 2) in coordinates of the map, of corners (P, 2) in pixels."""
        a, b, c, d, e, f = self.transform
        return np.asarray(corners, np.float64) @ np.array([[a, d], [b, e]]) + (c, f)

    def corners(self, places: ArrayLike) -> NDArray[np.float64]:
        """(P, 2) in pixels, from corner to corner, of places (P, 2) in coordinates of the map."""
        a, b, c, d, e, f = self.transform
        return (np.asarray(places, np.float64) - (c, f)) @ np.linalg.inv([[a, d], [b, e]])

    def moved(self, x: int, y: int) -> "Ground":
        """Of the part of the picture that begins at pixel (x, y)."""
        a, b, c, d, e, f = self.transform
        return Ground(self.crs, (a, b, a * x + b * y + c, d, e, d * x + e * y + f))


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the voxels of a volume lie, and which axis its slices follow.

    Attributes:
        affine: (4, 4), from the numbers (i, j, k, 1) of a voxel to millimetres, RAS.
        shape: (I, J, K).
        axis: 0, 1 or 2; frame n is the slice n along it.
        path: The file or folder.
        files: Of a DICOM series the files of its slices, in the order of the last axis, or the one with all. Empty for
            other formats.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    axis: int
    path: Path
    files: tuple[Path, ...] = ()

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres from voxel to voxel along each axis."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def voxel(self) -> float:
        """Millilitres of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    @property
    def shown(self) -> tuple[int, int]:
        """The axes that run across and down a frame."""
        across, down = (axis for axis in range(3) if axis != self.axis)
        return across, down

    def voxel_at(self, frame: int, x: float, y: float) -> tuple[float, float, float]:
        """The voxel (i, j, k) of a pixel."""
        found = dict(zip((self.axis, *self.shown), (frame, x, y), strict=True))
        return float(found[0]), float(found[1]), float(found[2])

    def pixel_at(self, place: ArrayLike) -> tuple[int, float, float]:
        """The frame, x and y of a place in millimetres (RAS). Raises MediaError if it lies outside the volume."""
        voxel = np.linalg.solve(self.affine, [*np.asarray(place, np.float64), 1.0])[:3]
        if (voxel < -0.5).any() or (voxel > np.array(self.shape) - 0.5).any():
            shown = ", ".join(f"{number:.1f}" for number in np.asarray(place, np.float64))
            raise MediaError(f"({shown}) mm lies outside the volume {self.path.name}; give a place within it")
        frame = int(np.clip(round(voxel[self.axis]), 0, self.shape[self.axis] - 1))
        across, down = self.shown
        return frame, float(voxel[across]), float(voxel[down])
