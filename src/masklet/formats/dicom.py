"""What clinical systems take: DICOM segmentations and structure sets, which refer to the series that was tracked."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, Sink
from masklet.formats.volume import Save, write_labels
from masklet.geometry import LPS_TO_RAS, Geometry
from masklet.masks.draw import color
from masklet.masks.polygons import mask_polygons

MAKER, MODEL, RELEASE = "masklet", "masklet", str(sys.modules["masklet"].__version__)

UNICODE = "ISO_IR 192"
"""DICOM's name of UTF-8."""

LONGEST_LABEL = 64
"""Letters of a segment's label (DICOM's LO)."""


def save_segmentation(path: Path, labels: NDArray[np.uint16], geometry: Geometry, titles: Mapping[int, str]) -> None:
    """A binary segmentation: a segment for each object, frames without it left out.

    Source: DICOM PS3.3, A.51 and C.8.20.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    sources, numbers = _sources(geometry), _numbers(labels)
    segments = [
        hd.seg.SegmentDescription(
            segment_number=place,
            segment_label=titles.get(number, str(number))[:LONGEST_LABEL],
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name=MODEL, version=RELEASE, family=codes.DCM.ArtificialIntelligence
            ),
            tracking_uid=generate_uid(),
            tracking_id=titles.get(number, str(number))[:LONGEST_LABEL],
        )
        for place, number in enumerate(numbers, start=1)
    ]
    for source in sources:
        source.SliceThickness = source.get("SliceThickness") or geometry.spacing[2]  # asked for, and may be empty
    places = np.zeros(int(labels.max()) + 1, np.uint16)
    places[numbers] = np.arange(1, len(numbers) + 1)
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
            manufacturer_model_name=MODEL,
            software_versions=RELEASE,
            device_serial_number="0",
            content_label="MASKLET",
        )
    except (AttributeError, KeyError, ValueError) as error:
        raise FormatError(
            f"a segmentation cannot refer to {geometry.path.name}: {error}; write nifti instead"
        ) from error
    found.SpecificCharacterSet = UNICODE  # whatever the series has: titles may be of any letters
    found.save_as(path)


def save_structures(path: Path, labels: NDArray[np.uint16], geometry: Geometry, titles: Mapping[int, str]) -> None:
    """A structure set: contours of each object along the edges of its pixels, in millimetres, slice by slice. Holes are
    contours of their own, inside the others (even and odd).

    Source: DICOM PS3.3, A.19 and C.8.8.5, C.8.8.6.
    """
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

    sources, numbers = _sources(geometry), _numbers(labels)
    if len(sources) != labels.shape[2]:
        raise FormatError(
            f"a structure set refers to a file for each slice, and {geometry.path.name} is one; write dicom-seg"
        )
    first, now = sources[0], datetime.now()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTStructureSetStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
                 "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"):  # fmt: skip
        setattr(whole, name, first.get(name, ""))
    whole.SpecificCharacterSet = UNICODE
    whole.SOPClassUID, whole.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    whole.Modality, whole.SeriesInstanceUID, whole.SeriesNumber = "RTSTRUCT", generate_uid(), 100
    whole.Manufacturer, whole.ManufacturerModelName = MAKER, MODEL
    whole.SoftwareVersions, whole.StructureSetLabel = RELEASE, "masklet"
    whole.StructureSetDate, whole.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    whole.ReferencedFrameOfReferenceSequence = [_frame_of_reference(sources)]
    whole.StructureSetROISequence, whole.ROIContourSequence, whole.RTROIObservationsSequence = [], [], []
    for number in numbers:
        title = titles.get(number, str(number))[:LONGEST_LABEL]
        inside: NDArray[np.bool_] = np.equal(labels, number)
        region, drawn, observed = Dataset(), Dataset(), Dataset()
        region.ROINumber, region.ROIName, region.ROIGenerationAlgorithm = number, title, "SEMIAUTOMATIC"
        region.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        drawn.ReferencedROINumber, drawn.ROIDisplayColor = number, list(color(number))
        drawn.ContourSequence = [
            contour
            for place in np.flatnonzero(inside.any(axis=(0, 1))).tolist()
            for contour in _contours(inside[..., place].T, place, geometry, sources[place])
        ]
        observed.ObservationNumber, observed.ReferencedROINumber = number, number
        observed.RTROIInterpretedType, observed.ROIInterpreter = "", ""
        whole.StructureSetROISequence.append(region)
        whole.ROIContourSequence.append(drawn)
        whole.RTROIObservationsSequence.append(observed)
    whole.save_as(path, enforce_file_format=True)


def _contours(mask: NDArray[np.bool_], place: int, geometry: Geometry, source: Any) -> list[Any]:
    """The rings of a slice, in the patient's millimetres."""
    from pydicom.dataset import Dataset

    found = []
    for polygon in mask_polygons(mask):
        for ring in (polygon.outer, *polygon.holes):
            voxels = np.column_stack((ring - 0.5, np.full(len(ring), place), np.ones(len(ring))))
            contour = Dataset()
            contour.ContourImageSequence = [_reference(source)]
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(ring)
            points = voxels @ (LPS_TO_RAS @ geometry.affine)[:3].T
            contour.ContourData = [f"{value:.4f}" for value in points.ravel().tolist()]
            found.append(contour)
    return found


def _frame_of_reference(sources: Sequence[Any]) -> Any:
    from pydicom.dataset import Dataset

    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = sources[0].SeriesInstanceUID
    series.ContourImageSequence = [_reference(source) for source in sources]
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, retired and still asked for
    study.ReferencedSOPInstanceUID = sources[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = sources[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _reference(source: Any) -> Any:
    from pydicom.dataset import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    return reference


def _sources(geometry: Geometry) -> list[Any]:
    """The heads of the files that were tracked. Raises FormatError if they lack what is referred to."""
    import pydicom

    found = [pydicom.dcmread(file, stop_before_pixels=True) for file in geometry.files]
    needed = ("FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    if missing := [name for name in needed if name not in found[0]]:
        raise FormatError(f"{geometry.path.name} lacks {missing[0]}, to which results refer; write nifti instead")
    return found


def _numbers(labels: NDArray[np.uint16]) -> list[int]:
    """The object numbers that there are. Raises FormatError if there are none."""
    numbers = [int(number) for number in np.unique(labels) if number]
    if not numbers:
        raise FormatError("the file would hold no object; mark something first")
    return numbers


def write_series(path: Path, facts: Facts, save: Save) -> AbstractContextManager[Sink]:
    """One file about a DICOM series. Raises FormatError at once if it is about anything else."""
    if facts.geometry is None or not facts.geometry.files:
        what = Path(facts.video).name or "what was tracked"
        raise FormatError(f"{path.name} refers to DICOM files, and {what} is none; write nifti or nrrd instead")
    return write_labels(path, facts, save)


DICOM_SEG, RTSTRUCT = (
    Format(name, line, partial(write_series, save=save), video=".dcm", in_space=True)
    for name, line, save in (
        ("dicom-seg", "A DICOM segmentation of the series that was tracked", save_segmentation),
        ("rtstruct", "A DICOM structure set: contours in millimetres", save_structures),
    )
)
