"""Label maps and surfaces of volumes: the objects' numbers in the grid of the scan that was tracked, 0 the background;
and STL, in millimetres, for printing and for viewers."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import atomic_write
from masklet.errors import FormatError, needing
from masklet.formats.base import Facts, Format, FrameLike, Sink, check_object_numbers
from masklet.formats.description import title_of
from masklet.geometry import LPS_TO_RAS, Geometry

MOST_LABEL = 65_535
"""The highest object number."""

Save = Callable[[Path, NDArray[np.uint16], Geometry, Mapping[int, str]], None]
"""Writes labels, uint16 (I, J, K), with what people read as the name of each object number."""


@contextmanager
def write_labels(path: Path, facts: Facts, save: Save) -> Iterator[Sink]:
    """One file; slices that are not written are empty. Of what is no volume, such as a stack of pictures, a pixel and
    the step from frame to frame are a millimetre."""
    slices: dict[int, bytes] = {}
    titles: dict[int, str] = {}

    def write(result: FrameLike) -> None:
        check_object_numbers(result, most=MOST_LABEL, instead="objects or project")
        titles.update({result.indices[name]: title_of(name, result.descriptions.get(name)) for name in result.objects})
        slices[result.frame] = zlib.compress(result.index_map().astype(np.uint16).tobytes(), 1)

    with needing("medical", path.name, FormatError):
        yield write
        height, width = facts.size
        count = max(facts.frame_count or 1, *(frame + 1 for frame in slices), 1)
        geometry = facts.geometry or Geometry(np.eye(4), (width, height, count), 2, path)
        try:
            labels = np.zeros(geometry.shape, np.uint16)
        except MemoryError as error:
            raise FormatError(f"{path.name} would have {count} slices, more than memory holds; give --stop") from error
        if beyond := [frame for frame in slices if not 0 <= frame < geometry.shape[geometry.axis]]:
            raise FormatError(f"there are masks of frame {beyond[0]}, and {geometry.path.name} ends before it")
        for frame, packed in slices.items():
            numbers = np.frombuffer(zlib.decompress(packed), np.uint16).reshape(height, width)
            np.moveaxis(labels, geometry.axis, 0)[frame] = numbers.T
        with atomic_write(path) as temporary:
            save(temporary, labels, geometry, titles)


def save_nifti(path: Path, labels: NDArray[np.uint16], geometry: Geometry, _: Mapping[int, str]) -> None:
    """With the affine of the scan in both forms, in millimetres."""
    import nibabel

    image = nibabel.Nifti1Image(labels, geometry.affine)
    image.set_qform(geometry.affine, code=1, strip_shears=True)
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))  # the same labels, the same file


def save_nrrd(path: Path, labels: NDArray[np.uint16], geometry: Geometry, _: Mapping[int, str]) -> None:
    """Compressed, with spacing, directions and origin of the scan."""
    import SimpleITK

    affine, spacing = LPS_TO_RAS @ geometry.affine, np.array(geometry.spacing)
    image = SimpleITK.GetImageFromArray(labels.T)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    try:
        SimpleITK.WriteImage(image, str(path), useCompression=True, imageIO="NrrdImageIO")
    except RuntimeError as error:
        raise OSError(str(error).strip().splitlines()[-1].rpartition(": ")[2]) from error


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


NIFTI, NRRD, STL = (
    Format(name, line, partial(write_labels, save=save), video=ending, in_space=True)
    for name, line, save, ending in (
        ("nifti", "A NIfTI label map in the grid of the volume", save_nifti, ".nii.gz"),
        ("nrrd", "An NRRD label map in the grid of the volume", save_nrrd, ".nrrd"),
        ("stl", "STL: the surfaces of the objects of a volume", save_stl, ".stl"),
    )
)
