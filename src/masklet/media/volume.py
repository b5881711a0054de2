"""Volumes of medicine and microscopy, read as videos whose frames are slices: NIfTI, DICOM series, MetaImage and NRRD.

A volume is kept in the way of NIfTI: voxels (I, J, K) and an affine that brings their numbers to millimetres, x to the
right, y to the front, z up (RAS). Of the slices along one axis, a frame shows the lower of the other two axes across
and the higher one down, so that a pixel (x, y) of frame k is a voxel, and nothing is turned or resampled.

Not a medical device: nothing here is validated for diagnosis or treatment.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError, nearest, needing
from masklet.geometry import LPS_TO_RAS, Geometry
from masklet.media.frames import ListedFrames

NIFTI, ITK, DICOM = (".nii", ".nii.gz", ".mgz", ".mgh"), (".mha", ".mhd", ".nrrd", ".nhdr"), (".dcm", ".dicom", ".ima")
VOLUME_SUFFIXES = (*NIFTI, *ITK, *DICOM)

CT_WINDOWS = {
    "brain": (40.0, 80.0),
    "soft-tissue": (40.0, 400.0),
    "liver": (60.0, 160.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
}
"""Usual windows of CT in Hounsfield units: level and width."""

SHOWN_PERCENTILES = (0.5, 99.5)
"""Without a window, these percentiles of all voxels are black and white."""

MAX_SAMPLED = 4_000_000
"""The percentiles are taken from at most so many voxels, evenly apart."""

UNITS_TAG = "PixelValueTransformationSequence"
"""Where a DICOM file of many frames says how stored values become its units."""

GAP_TOLERANCE = 0.02
"""Slices are uneven if a gap differs from the others by more than this share."""


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels, any real type (I, J, K), the affine and files of a `Geometry`, and frames a second where slices are those
    of a film, as of an ultrasound."""

    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    files: tuple[Path, ...] = ()
    rate: float | None = None


class VolumeSlices(ListedFrames):
    """The slices of a volume as frames, grey, uint8 (H, W, 3).

    Brightness is chosen once for the whole volume, never for each slice.

    Args:
        path: A file, or a folder with a DICOM series.
        axis: 0, 1 or 2, the axis that slices follow; None for that of the largest spacing, the last of equal ones.
        window: The name of one of `CT_WINDOWS`, or (level, width) in the volume's units; None shows the percentiles
            `SHOWN_PERCENTILES` of all voxels from black to white.
        part: Which volume of a file with several, from 0.
        isotropic: Whether slices that lie farther apart than their pixels are interpolated (linear) until they lie as
            close. The geometry, and with it label maps, are those of the new grid; it refers to no DICOM files.

    Raises:
        MediaError: The volume cannot be read, has a part that nobody chose, no such axis, slices that are missing or
            unevenly spaced, or the package that reads it is not installed.
    """

    geometry: Geometry

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        axis: int | None = None,
        window: str | Sequence[float] | None = None,
        part: int | None = None,
        isotropic: bool = False,
    ) -> None:
        self.path = Path(path)
        volume = read_volume(self.path, part)
        spacing = np.linalg.norm(volume.affine[:3, :3], axis=0).round(3)
        if axis not in (None, 0, 1, 2):
            raise MediaError(f"axis is {axis!r}; a volume has the axes 0, 1 and 2")
        along = int(2 - np.argmax(spacing[::-1])) if axis is None else axis
        if isotropic:
            volume = interpolated(volume, along)
        shape = volume.voxels.shape
        self.geometry = Geometry(volume.affine, (shape[0], shape[1], shape[2]), along, self.path, volume.files)
        self._voxels = volume.voxels
        self._low, self._high = _limits(volume.voxels, window)
        super().__init__(shape[along], volume.rate if along == 2 else None)

    def values(self, frame: int) -> NDArray[np.float32]:
        """(H, W), a slice in the volume's own units, such as Hounsfield."""
        with np.errstate(over="ignore"):  # beyond what float32 holds: the largest that it does
            return np.nan_to_num(np.take(self._voxels, frame, self.geometry.axis).T.astype(np.float32))

    def _image(self, frame: int) -> NDArray[np.uint8]:
        with np.errstate(over="ignore"):
            grey = np.clip((self.values(frame) - self._low) / (self._high - self._low), 0, 1)
        return np.repeat((grey * 255).round().astype(np.uint8)[..., None], 3, axis=2)

    def _name(self, frame: int) -> str:
        return f"slice {frame} of {self.path.name}"


def interpolated(volume: Volume, axis: int) -> Volume:
    """The volume with slices along an axis as close as its finest pixels, the first and the last where they were; as it
    is if they lie closer."""
    spacing, count = np.linalg.norm(volume.affine[:3, :3], axis=0), volume.voxels.shape[axis]
    wanted = round((count - 1) * spacing[axis] / np.delete(spacing, axis).min()) + 1
    if count < 2 or wanted <= count:
        return volume
    places = np.linspace(0, count - 1, wanted)
    before = np.minimum(places.astype(np.int64), count - 2)
    share = np.expand_dims(np.float32(places - before), [other for other in range(3) if other != axis])
    low, high = (np.take(volume.voxels, before + step, axis).astype(np.float32) for step in (0, 1))
    affine = volume.affine.copy()
    affine[:3, axis] *= (count - 1) / (wanted - 1)
    return Volume(low + share * (high - low), affine)


def _limits(voxels: NDArray[Any], window: str | Sequence[float] | None) -> tuple[float, float]:
    """The values that are black and white."""
    if isinstance(window, str):
        if window not in CT_WINDOWS:
            known = ", ".join(CT_WINDOWS)
            raise MediaError(f"there is no window {window!r}{nearest(window, CT_WINDOWS)}; there are {known}")
        window = CT_WINDOWS[window]
    if window is not None:
        level, width = window if len(window) == 2 else (np.nan, np.nan)
        if not (np.isfinite(level) and np.isfinite(width) and width > 0):
            raise MediaError(f"the window is level {level:g}, width {width:g}; give finite numbers, the width over 0")
        return level - width / 2, level + width / 2
    with np.errstate(over="ignore"):
        values = voxels.reshape(-1)[:: -(-voxels.size // MAX_SAMPLED)].astype(np.float32)
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, SHOWN_PERCENTILES) if len(values) else (0.0, 1.0)
    if low == high and len(values):  # a few bright voxels on nothing
        low, high = values.min(), values.max()
    return float(low), float(high) if high > low else float(low) + 1


def is_volume(path: Path) -> bool:
    """Whether a file is a volume by its name, or a folder holds a DICOM series."""
    if path.is_dir():
        return any(file.is_file() and _begins_as_dicom(file) for file in sorted(path.iterdir())[:3])
    return path.name.lower().endswith(VOLUME_SUFFIXES)


def _begins_as_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


class Unfit(Exception):
    """What is wrong with a file, to be said after its name."""


def read_volume(path: Path, part: int | None = None) -> Volume:
    """The voxels of a file or folder; see `VolumeSlices`."""
    name = "" if path.is_dir() else path.name.lower()
    try:
        with needing("medical", path.name, MediaError), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of values that a header promises otherwise
            if name.endswith(NIFTI):
                volume = read_nifti(path, part)
            else:
                volume = read_itk(path, part) if name.endswith(ITK) else read_dicom(path)
        if volume.voxels.ndim != 3 or not volume.voxels.size:
            raise Unfit(f"has the shape {volume.voxels.shape}; give a volume of three axes")
        if volume.voxels.dtype.kind not in "biuf":
            raise Unfit(f"holds values of type {volume.voxels.dtype}; give a volume of real numbers")
        if not np.isfinite(volume.affine).all() or abs(np.linalg.det(volume.affine[:3, :3])) < 1e-9:
            raise Unfit("does not say where its voxels lie: its affine cannot be inverted")
    except Unfit as unfit:
        raise MediaError(f"{path.name} {unfit}") from unfit.__cause__
    except MediaError:
        raise
    except MemoryError as error:
        raise MediaError(f"{path.name} says that it is larger than memory; is it damaged? Give another copy") from error
    except Exception as error:  # what a damaged header makes of readers is of every kind
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MediaError(f"{path.name} cannot be read: {reason:.200}; is it damaged? Give another copy") from error
    return volume


def read_nifti(path: Path, part: int | None) -> Volume:
    """NIfTI, and what else nibabel reads by these endings."""
    import nibabel

    image: Any = nibabel.load(path)
    if not hasattr(image, "affine"):
        raise Unfit(f"holds {type(image).__name__}, not a grid of voxels; give a volume")
    if image.get_data_dtype().names:
        raise Unfit("holds colours; give a volume of grey values")
    voxels = np.asanyarray(_chosen(image.dataobj, part))
    return Volume(np.squeeze(voxels, tuple(range(3, voxels.ndim))), np.asarray(image.affine, np.float64))


def read_itk(path: Path, part: int | None) -> Volume:
    """MetaImage and NRRD."""
    import SimpleITK

    _check_meta(path)
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise Unfit(f"cannot be read: {lines[-1].strip()}") from error
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise Unfit("holds several values a voxel; give a volume of grey values")
    size = image.GetDimension()
    if size not in (3, 4):
        raise Unfit(f"has {size} axes; give a volume of three")
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(size, size)[:3, :3]
    affine[:3, :3] = direction * np.array(image.GetSpacing())[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return Volume(_chosen(SimpleITK.GetArrayFromImage(image).T, part), LPS_TO_RAS @ affine)


def _check_meta(path: Path) -> None:
    """Refuse a header that names no file for its voxels, as ITK would end the process, and one that names files outside
    of its own folder."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    found = re.search(rb"(?:^|\n)(?:ElementDataFile[ \t]*=|[Dd]ata ?[Ff]ile:)([^\r\n]*)", head)
    named = "LOCAL" if found is None else found[1].decode("utf-8", "replace").strip()
    if not named or not named.isprintable() or "\ufffd" in named:
        raise Unfit("names no file for its voxels (ElementDataFile); is it damaged?")
    listed = head[found.end() :].decode("utf-8", "replace").splitlines() if found and named.startswith("LIST") else []
    for name in (named, *listed):
        if not (path.parent / name.strip()).resolve().is_relative_to(path.parent.resolve()):
            raise Unfit(f"names voxels at {name.strip()[:100]}; they must lie in its own folder")


def _chosen(voxels: Any, part: int | None) -> Any:
    """One of the volumes along a fourth axis."""
    count = voxels.shape[3] if len(voxels.shape) == 4 else 1
    if part is None and count > 1:
        raise Unfit(f"holds {count} volumes; choose one by part, 0 to {count - 1}")
    if not 0 <= (part or 0) < count:
        raise Unfit(f"has no part {part}; it holds {count}, counted from 0")
    return voxels[..., part or 0] if len(voxels.shape) == 4 else voxels


def read_dicom(path: Path) -> Volume:
    """A series of single slices in a folder, or one file with many frames.

    Source of the geometry: DICOM PS3.3, C.7.6.2.1.1.
    """
    import pydicom

    if path.is_dir():
        heads = [_head(file) for file in sorted(path.iterdir()) if file.is_file()]
        slices = [head for head in heads if head is not None and "Rows" in head]
        if not slices:
            raise Unfit("holds no DICOM pictures; give the folder of a series")
        series: dict[str, list[Any]] = {}
        for head in slices:
            series.setdefault(str(head.get("SeriesInstanceUID", "")), []).append(head)
        if len(series) > 1:
            told = "; ".join(
                f"{found[0].get('SeriesDescription', '') or uid} of {len(found)}" for uid, found in series.items()
            )
            raise Unfit(f"holds {len(series)} series ({told}); give a folder with one")
        return _stacked(slices) if len(slices) > 1 else read_dicom(Path(slices[0].filename))
    try:
        whole = pydicom.dcmread(path)
    except pydicom.errors.InvalidDicomError as error:
        raise Unfit("lacks the header of a DICOM file; convert it, or give another copy") from error
    if "Rows" not in whole:
        kind = getattr(whole.get("SOPClassUID"), "name", "nothing says what")
        raise Unfit(f"holds no pixels ({kind:.64}); give a scan")
    alone = "ImagePositionPatient" in whole and int(whole.get("NumberOfFrames") or 1) == 1
    return _stacked([whole]) if alone else _of_frames(path, whole)


def _head(file: Path) -> Any:
    """What a file says before its pixels; None if it is no DICOM."""
    import pydicom

    try:
        return pydicom.dcmread(file, stop_before_pixels=True)
    except (pydicom.errors.InvalidDicomError, OSError, EOFError):
        return None


def _stacked(slices: Sequence[Any]) -> Volume:
    """Single slices in the order of their places."""
    import pydicom

    if any("ImagePositionPatient" not in one or "ImageOrientationPatient" not in one for one in slices):
        raise Unfit("has slices that do not say where they lie; give a series of one scan")
    first = slices[0]
    facing = [np.asarray(one.ImageOrientationPatient, np.float64) for one in slices]
    if any(np.abs(one - facing[0]).max() > 1e-3 for one in facing):
        raise Unfit("has slices of several directions; give a series of parallel slices")
    origins, thickness = [one.ImagePositionPatient for one in slices], first.get("SliceThickness")
    order, affine = _placed(first.ImageOrientationPatient, origins, first.PixelSpacing, thickness)
    pictures = [_values(pydicom.dcmread(slices[n].filename)) for n in order]
    if len({picture.shape for picture in pictures}) > 1:
        raise Unfit("has slices of several sizes; give a series of one scan")
    return Volume(np.stack(pictures, axis=2), LPS_TO_RAS @ affine, tuple(Path(slices[n].filename) for n in order))


def _placed(
    orientation: Sequence[float], origins: Sequence[Any], spacing: Sequence[float], thickness: Any
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The order of parallel slices by where they begin, and the affine of their voxels in DICOM's axes."""
    across, down = np.asarray(orientation, np.float64).reshape(2, 3)
    normal = np.cross(across, down)
    places = np.array([np.dot(normal, origin) for origin in origins])
    order = np.argsort(places)
    step = _even_step(places[order]) if len(order) > 1 else float(thickness or 1)
    rows, columns = map(float, spacing)
    affine = np.eye(4)
    affine[:3, :3] = np.stack((across * columns, down * rows, normal * step), axis=1)
    affine[:3, 3] = origins[order[0]]
    return order, affine


def _even_step(places: NDArray[np.float64]) -> float:
    """Millimetres between neighbours, of which none may be missing, double or unevenly spaced."""
    gaps = np.diff(places)
    step = float(np.median(gaps))
    if step <= 0 or (gaps <= step * GAP_TOLERANCE).any():
        raise Unfit("has several slices at one place; give a series of one scan, at one time")
    wide = [(n, round(gap / step) - 1) for n, gap in enumerate(gaps) if abs(gap - step) > GAP_TOLERANCE * step]
    missing = [(n, count) for n, count in wide if count and abs(gaps[n] - (count + 1) * step) <= GAP_TOLERANCE * step]
    if missing and len(missing) == len(wide):
        told = ", ".join(f"{count} between {n} and {n + 1}" for n, count in missing)
        raise Unfit(f"lacks slices: {told}, counted from 0; give the whole series")
    if wide:
        n = wide[0][0]
        raise Unfit(f"has uneven slices: {gaps[n]:g} mm between {n} and {n + 1}, else {step:g}; resample it first")
    return step


def _of_frames(path: Path, whole: Any) -> Volume:
    """One file with many frames; without places, as of an ultrasound, a pixel is a millimetre."""
    pixels = _values(whole)
    frames = pixels if pixels.ndim == 3 else pixels[..., None]
    affine = np.eye(4)
    groups = whole.get("PerFrameFunctionalGroupsSequence")
    shared = (whole.get("SharedFunctionalGroupsSequence") or [{}])[0]
    told = [(shared.get(UNITS_TAG) or group.get(UNITS_TAG) or [{}])[0] for group in groups or ()]
    if any(told) and len(told) == frames.shape[2]:
        frames = np.stack([_rescaled(frames[..., n], head) for n, head in enumerate(told)], axis=2)
    if groups is not None and "PlanePositionSequence" in groups[0] and len(groups) == frames.shape[2]:
        facing = (shared.get("PlaneOrientationSequence") or groups[0].PlaneOrientationSequence)[0]
        measures = (shared.get("PixelMeasuresSequence") or groups[0].PixelMeasuresSequence)[0]
        origins = [group.PlanePositionSequence[0].ImagePositionPatient for group in groups]
        thickness = measures.get("SliceThickness")
        order, affine = _placed(facing.ImageOrientationPatient, origins, measures.PixelSpacing, thickness)
        frames = frames[..., order]
    rate = whole.get("RecommendedDisplayFrameRate") or whole.get("CineRate")
    rate = 1000 / whole.FrameTime if whole.get("FrameTime") else rate
    return Volume(frames, LPS_TO_RAS @ affine, (path,), float(rate) if rate else None)


def _values(head: Any) -> NDArray[Any]:
    """The values of a file in its own units, such as Hounsfield: (columns, rows), or (columns, rows, frames)."""
    try:
        pixels = head.pixel_array
    except (AttributeError, RuntimeError, ValueError, NotImplementedError, ImportError, OSError) as error:
        syntax = getattr(head.file_meta, "TransferSyntaxUID", None)
        if syntax is not None and syntax.is_compressed:
            raise Unfit(
                f"is compressed as {syntax.name}, which nothing here decodes, or it is damaged; pip install "
                "python-gdcm brings a decoder of every kind"
            ) from error
        raise Unfit(f"has pixels that cannot be read: {error}; give another copy") from error
    if head.get("SamplesPerPixel", 1) > 1:
        pixels = pixels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    if head.get("PhotometricInterpretation") == "MONOCHROME1":  # the highest value is black
        pixels = (1 << int(head.get("BitsStored", 8))) - 1 - pixels.astype(np.int32)
    values = _rescaled(pixels, head)
    return np.moveaxis(values, 0, -1).swapaxes(0, 1) if values.ndim == 3 else values.T


def _rescaled(pixels: NDArray[Any], head: Any) -> NDArray[Any]:
    """Stored values in the units of a file, or of a frame."""
    slope, intercept = float(head.get("RescaleSlope", 1)), float(head.get("RescaleIntercept", 0))
    return pixels if (slope, intercept) == (1, 0) else pixels * np.float32(slope) + np.float32(intercept)
