"""Where things lie in space.

Volumes. Label maps: the objects' numbers in the grid of the scan that was tracked, 0 the background. STL: surfaces in
millimetres, for printing and for viewers. For clinical systems: DICOM segmentations and structure sets, which refer to
the series that was tracked.

Maps. Polygons of objects, or a raster of their numbers, in the coordinates of the picture that was looked at.
"""

import gzip
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import atomic_write
from masklet.errors import FormatError, needing
from masklet.formats.base import Facts, Format, FrameLike, Sink, index_map, rle_of
from masklet.formats.description import label_of, title_of
from masklet.formats.writer import frame_files
from masklet.geometry import LPS_TO_RAS, Geometry, Ground
from masklet.masks.draw import color
from masklet.masks.polygons import Polygon, apart_polygons, mask_polygons
from masklet.masks.rle import from_rle

MAX_LABEL = 65_535
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
        numbers = index_map(result, most=MAX_LABEL, instead="objects or project")
        titles.update({result.indices[name]: title_of(name, result.descriptions.get(name)) for name in result.objects})
        slices[result.frame] = zlib.compress(numbers.tobytes(), 1)

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


STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
"""Of binary STL."""

STL_HEADER = b"masklet SPACE=LPS"
"""What stands before; viewers look for the name of the axes there."""


def save_stl(path: Path, labels: NDArray[np.uint16], geometry: Geometry, _: Mapping[int, str]) -> None:
    """The faces of each object's voxels as triangles, counter-clockwise from outside: every surface is closed and holds
    as much as its voxels. Axes are those of DICOM: left, back, up."""
    triangles = [_surface(labels == number, geometry) for number in np.unique(labels) if number]
    with path.open("wb") as file:
        file.write(STL_HEADER.ljust(80, b" "))
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
    triangles = np.zeros(len(corners), STL_TRIANGLE)
    triangles["corners"] = corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    triangles["normal"] = normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    return triangles


MAKER, RELEASE = "masklet", str(sys.modules["masklet"].__version__)

DICOM_UTF8 = "ISO_IR 192"
"""DICOM's name of UTF-8."""

PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime"),
    *("StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
"""What a structure set has from its series."""

Record = TypeVar("Record")


def save_segmentation(path: Path, labels: NDArray[np.uint16], geometry: Geometry, titles: Mapping[int, str]) -> None:
    """A binary segmentation: a segment for each object, frames without it left out.

    Source: DICOM PS3.3, A.51 and C.8.20.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    sources, named = _sources(geometry), _named(labels, titles)
    segments = [
        hd.seg.SegmentDescription(
            segment_number=place,
            segment_label=title,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name=MAKER, version=RELEASE, family=codes.DCM.ArtificialIntelligence
            ),
            tracking_uid=generate_uid(),
            tracking_id=title,
        )
        for place, title in enumerate(named.values(), start=1)
    ]
    for source in sources:
        source.SliceThickness = source.get("SliceThickness") or geometry.spacing[2]  # asked for, and may be empty
    places = np.zeros(int(labels.max()) + 1, np.uint16)
    places[list(named)] = np.arange(1, len(named) + 1)
    affine = (LPS_TO_RAS @ geometry.affine)[:, [2, 1, 0, 3]]
    try:
        volume = hd.Volume(
            places[labels].transpose(2, 1, 0),
            affine,
            coordinate_system="PATIENT",
            frame_of_reference_uid=sources[0].FrameOfReferenceUID,
        )
        found = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=volume,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=segments,
            series_instance_uid=generate_uid(),
            series_number=100,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer=MAKER,
            manufacturer_model_name=MAKER,
            software_versions=RELEASE,
            device_serial_number="0",
            content_label="MASKLET",
        )
    except (AttributeError, KeyError, ValueError) as error:
        raise FormatError(
            f"a segmentation cannot refer to {geometry.path.name}: {error}; write nifti instead"
        ) from error
    found.SpecificCharacterSet = DICOM_UTF8  # whatever the series has: titles may be of any letters
    found.save_as(path)


def save_structures(path: Path, labels: NDArray[np.uint16], geometry: Geometry, titles: Mapping[int, str]) -> None:
    """A structure set: contours of each object along the edges of its pixels, in millimetres, slice by slice. Holes are
    contours of their own, inside the others (even and odd).

    Source: DICOM PS3.3, A.19 and C.8.8.5, C.8.8.6.
    """
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

    sources, named = _sources(geometry), _named(labels, titles)
    if len(sources) != labels.shape[2]:
        raise FormatError(
            f"a structure set refers to a file for each slice, and {geometry.path.name} is one; write dicom-seg"
        )
    first, now, uid = sources[0], datetime.now(), generate_uid()

    def reference(source: Any) -> Any:
        identity = {"ReferencedSOPClassUID": source.SOPClassUID, "ReferencedSOPInstanceUID": source.SOPInstanceUID}
        return _filled(Dataset(), **identity)

    def contour(ring: NDArray[np.float64], place: int) -> Any:
        """A ring of a slice, in the patient's millimetres."""
        voxels = np.column_stack((ring - 0.5, np.full(len(ring), place), np.ones(len(ring))))
        points = voxels @ (LPS_TO_RAS @ geometry.affine)[:3].T
        return _filled(
            Dataset(),
            ContourImageSequence=[reference(sources[place])],
            ContourGeometricType="CLOSED_PLANAR",
            NumberOfContourPoints=len(ring),
            ContourData=[f"{value:.4f}" for value in points.ravel().tolist()],
        )

    series = _filled(
        Dataset(),
        SeriesInstanceUID=first.SeriesInstanceUID,
        ContourImageSequence=[reference(source) for source in sources],
    )
    study = _filled(
        Dataset(),
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",  # Detached Study Management, retired and still asked for
        ReferencedSOPInstanceUID=first.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    regions, drawn, observed = [], [], []
    for number, title in named.items():
        inside: NDArray[np.bool_] = np.equal(labels, number)
        region = {"ROINumber": number, "ROIName": title, "ROIGenerationAlgorithm": "SEMIAUTOMATIC"}
        regions.append(_filled(Dataset(), **region, ReferencedFrameOfReferenceUID=first.FrameOfReferenceUID))
        contours = [
            contour(ring, place)
            for place in np.flatnonzero(inside.any(axis=(0, 1))).tolist()
            for polygon in mask_polygons(inside[..., place].T)
            for ring in (polygon.outer, *polygon.holes)
        ]
        shown = {"ReferencedROINumber": number, "ROIDisplayColor": list(color(number)), "ContourSequence": contours}
        drawn.append(_filled(Dataset(), **shown))
        observation = {"ObservationNumber": number, "ReferencedROINumber": number}
        observed.append(_filled(Dataset(), **observation, RTROIInterpretedType="", ROIInterpreter=""))
    meta = _filled(
        FileMetaDataset(),
        MediaStorageSOPClassUID=RTStructureSetStorage,
        MediaStorageSOPInstanceUID=uid,
        TransferSyntaxUID=ExplicitVRLittleEndian,
    )
    _filled(
        FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128),
        **{name: first.get(name, "") for name in PATIENT_AND_STUDY},
        SpecificCharacterSet=DICOM_UTF8,
        SOPClassUID=RTStructureSetStorage,
        SOPInstanceUID=uid,
        Modality="RTSTRUCT",
        SeriesInstanceUID=generate_uid(),
        SeriesNumber=100,
        Manufacturer=MAKER,
        ManufacturerModelName=MAKER,
        SoftwareVersions=RELEASE,
        StructureSetLabel="masklet",
        StructureSetDate=now.strftime("%Y%m%d"),
        StructureSetTime=now.strftime("%H%M%S"),
        ReferencedFrameOfReferenceSequence=[
            _filled(Dataset(), FrameOfReferenceUID=first.FrameOfReferenceUID, RTReferencedStudySequence=[study])
        ],
        StructureSetROISequence=regions,
        ROIContourSequence=drawn,
        RTROIObservationsSequence=observed,
    ).save_as(path, enforce_file_format=True)


def _filled(record: Record, **values: Any) -> Record:
    """A data set of DICOM with these values."""
    for name, value in values.items():
        setattr(record, name, value)
    return record


def _sources(geometry: Geometry) -> list[Any]:
    """The heads of the files that were tracked. Raises FormatError if they lack what is referred to."""
    import pydicom

    found = [pydicom.dcmread(file, stop_before_pixels=True) for file in geometry.files]
    needed = ("FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    if missing := [name for name in needed if name not in found[0]]:
        raise FormatError(f"{geometry.path.name} lacks {missing[0]}, to which results refer; write nifti instead")
    return found


def _named(labels: NDArray[np.uint16], titles: Mapping[int, str]) -> dict[int, str]:
    """The titles of the numbers that there are, as DICOM's LO: at most 64 letters, no backslash, which parts values.
    Raises FormatError for no number."""
    numbers = [int(number) for number in np.unique(labels) if number]
    if not numbers:
        raise FormatError("the file would hold no object; mark something first")
    return {number: titles.get(number, str(number))[:64].replace("\\", "/") for number in numbers}


def write_series(path: Path, facts: Facts, save: Save) -> AbstractContextManager[Sink]:
    """One file about a DICOM series. Raises FormatError at once if it is about anything else."""
    if facts.geometry is None or not facts.geometry.files:
        what = Path(facts.video).name or "what was tracked"
        raise FormatError(f"{path.name} refers to DICOM files, and {what} is none; write nifti or nrrd instead")
    return write_labels(path, facts, save)


POLYGON_FIELDS: dict[str, Any] = {
    **{"object": np.int64, "label": object, "score": np.float64, "area": np.int64},
    **{"frame": np.int64, "date": "datetime64[ms]"},
}
"""What each polygon says, and of what type: the object's number, its class, its predicted IoU, its pixels. In a series
of dates also its frame and when that was taken."""

LITTLE, POLYGON, MULTIPOLYGON = 1, 3, 6
"""Of well-known binary (OGC 06-103r4): the order of bytes, and kinds of geometry."""


@contextmanager
def write_polygons(path: Path, facts: Facts, driver: str) -> Iterator[Sink]:
    """One layer, "masks": a multipolygon for each object, of dates in each frame, along the edges of its pixels."""
    ground = _ground(path, facts)
    with needing("geo", path.name, FormatError):
        import pyogrio.raw
    shapes: list[bytes] = []
    rows: list[tuple[object, ...]] = []
    fields = list(POLYGON_FIELDS)[: 4 if facts.frame_count == 1 else 6]

    def write(result: FrameLike) -> None:
        for name, item in result.objects.items():
            if (patch := from_rle(rle_of(item))) is not None:
                found = apart_polygons(patch.inside, facts.tolerance)
                shapes.append(_wkb(found, ground.moved(*patch.box[:2])))
                label = label_of(name, result.descriptions.get(name))
                date = facts.dates[result.frame] if result.frame < len(facts.dates) else None
                rows.append((result.indices[name], label, float(item.iou), patch.area, result.frame, date))

    yield write
    columns = [np.array([row[n] for row in rows], POLYGON_FIELDS[field]) for n, field in enumerate(fields)]
    with atomic_write(path) as temporary:
        ready = temporary.with_name(f"{temporary.name}{path.suffix}")  # GDAL wants the ending
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an empty layer
                pyogrio.raw.write(
                    ready, np.array(shapes, object), columns, fields, driver=driver, layer="masks",
                    geometry_type="MultiPolygon", crs=ground.crs,
                )  # fmt: skip
            ready.replace(temporary)
        except pyogrio.errors.DataSourceError as error:
            raise OSError(str(error)) from error
        finally:
            ready.unlink(missing_ok=True)


def write_raster(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """A GeoTIFF of object numbers, 0 where there is none, compressed and in blocks; of dates a file for each."""
    ground = _ground(path, facts)
    with needing("geo", path.name, FormatError):
        import rasterio
    height, width = facts.size
    settings = {"driver": "GTiff", "dtype": "uint16", "count": 1, "nodata": 0, "compress": "deflate"}
    if min(height, width) >= 256:
        settings |= {"tiled": True, "blockxsize": 256, "blockysize": 256}

    def write(place: Path, result: FrameLike) -> None:
        numbers = index_map(result, most=MAX_LABEL, instead="gpkg")
        try:
            with rasterio.open(
                place, "w", height=height, width=width, crs=ground.crs, transform=rasterio.Affine(*ground.transform),
                **settings,
            ) as file:  # fmt: skip
                file.write(numbers, 1)
        except rasterio.errors.RasterioError as error:
            raise OSError(str(error)) from error

    return frame_files(path, facts, ".tif", write)


def _ground(path: Path, facts: Facts) -> Ground:
    if facts.ground is None:
        name = facts.names[0] if facts.names else "the picture"
        raise FormatError(
            f"{path.name} is a map, and {name} does not say where it lies; give a GeoTIFF, or write coco. A session "
            "tracked with --resolution or --levels does not say it either: track once more, with this --format"
        )
    return facts.ground


def _wkb(polygons: Sequence[Polygon], ground: Ground) -> bytes:
    """A multipolygon as well-known binary, its rings closed."""
    parts = [struct.pack("<BII", LITTLE, MULTIPOLYGON, len(polygons))]
    for polygon in polygons:
        rings = (polygon.outer, *polygon.holes)
        parts.append(struct.pack("<BII", LITTLE, POLYGON, len(rings)))
        for ring in rings:
            places = ground.places(np.concatenate((ring, ring[:1])))
            parts += [struct.pack("<I", len(places)), places.astype("<f8").tobytes()]
    return b"".join(parts)


NIFTI, NRRD, STL, DICOM_SEG, RTSTRUCT = (
    Format(name, line, partial(write, save=save), video=ending, in_space=True)
    for name, line, write, save, ending in (
        ("nifti", "A NIfTI label map in the grid of the volume", write_labels, save_nifti, ".nii.gz"),
        ("nrrd", "An NRRD label map in the grid of the volume", write_labels, save_nrrd, ".nrrd"),
        ("stl", "STL: the surfaces of the objects of a volume", write_labels, save_stl, ".stl"),
        ("dicom-seg", "A DICOM segmentation of the series that was tracked", write_series, save_segmentation, ".dcm"),
        ("rtstruct", "A DICOM structure set: contours in millimetres", write_series, save_structures, ".dcm"),
    )
)
GPKG, GEOJSON, GEOTIFF = (
    Format(name, line, write, picture=picture, video=video, in_space=True)
    for name, picture, video, write, line in (
        ("gpkg", ".gpkg", ".gpkg", partial(write_polygons, driver="GPKG"), "GeoPackage: polygons on the map"),
        ("geojson", ".geojson", ".geojson", partial(write_polygons, driver="GeoJSON"), "GeoJSON: the same polygons"),
        ("geotiff", ".tif", "", write_raster, "GeoTIFF: object numbers in the grid of the picture"),
    )
)
