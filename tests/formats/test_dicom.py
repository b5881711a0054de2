"""DICOM segmentations and structure sets: read back by other readers, in the patient's millimetres."""

from __future__ import annotations

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masklet.errors import FormatError
from masklet.formats.base import PlainFrame, mask_only
from masklet.formats.description import Description
from masklet.formats.registry import writer
from masklet.geometry import LPS_TO_RAS
from masklet.masks.polygons import Polygon
from masklet.media.volume import VolumeSlices
from tests.masks.filling import fill_polygons
from tests.media.test_volume import OBLIQUE, SHAPE, inside, write_dicom

SHELL = np.zeros(SHAPE, bool)
SHELL[1:8, 2:12, 1:3] = True
SHELL[3:6, 4:9, 1:3] = False  # a hole, which contours must keep


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dicom(tmp_path_factory.mktemp("series") / "scan")


def liver(affine: np.ndarray) -> np.ndarray:
    return inside(affine) & ~SHELL


def write(name: str, source: VolumeSlices, path: Path, affine: np.ndarray) -> None:
    """An ellipsoid as object 5 and a shell as object 2, with the slices that follow an axis."""
    axis, ellipsoid = source.geometry.axis, liver(affine)
    with writer(name, path, size=source.size, geometry=source.geometry) as sink:
        for frame in range(len(source)):
            masks = {"liver": np.take(ellipsoid, frame, axis).T, 2: np.take(SHELL, frame, axis).T}
            objects = {known: mask_only(mask) for known, mask in masks.items()}
            said = {2: Description(title="shell")}
            sink.write(PlainFrame(frame, 0.0, source.size, objects, {"liver": 5, 2: 2}, descriptions=said))  # type: ignore[arg-type]


def written(format: str, folder: Path, affine: np.ndarray, axis: int) -> tuple[VolumeSlices, Path]:
    """A series that lies so, and a file of its two things."""
    source, path = VolumeSlices(write_dicom(folder / "scan", lies=affine), axis=axis), folder / "a.dcm"
    write(format, source, path, affine)
    return source, path


@settings(max_examples=2, deadline=None)
@given(OBLIQUE, st.sampled_from([0, 2]))
def test_a_segmentation_lies_where_the_series_lies(
    tmp_path_factory: pytest.TempPathFactory, affine: np.ndarray, axis: int
) -> None:
    source, path = written("dicom-seg", tmp_path_factory.mktemp("series"), affine, axis)
    found = hd.seg.segread(path)
    labels = {found.get_segment_description(number).segment_label: number for number in (1, 2)}
    assert set(labels) == {"liver", "shell"}
    for title, expected in (("liver", liver(affine)), ("shell", SHELL)):
        volume = found.get_volume(segment_numbers=[labels[title]], combine_segments=True, relabel=True)
        for row in np.argwhere(volume.array)[::7]:
            world = LPS_TO_RAS @ volume.affine @ [*row, 1]
            voxel = np.linalg.solve(affine, world)[:3].round().astype(int)
            assert expected[tuple(voxel)]
        assert volume.array.sum() == expected.sum()
    assert found.PatientID == "7"
    referred = found.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    known = {pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in source.geometry.files}
    assert {one.ReferencedSOPInstanceUID for one in referred} <= known


@settings(max_examples=2, deadline=None)
@given(OBLIQUE, st.sampled_from([1, 2]))
def test_contours_of_a_structure_set_fill_to_the_masks(
    tmp_path_factory: pytest.TempPathFactory, affine: np.ndarray, axis: int
) -> None:
    source, path = written("rtstruct", tmp_path_factory.mktemp("series"), affine, axis)
    found = pydicom.dcmread(path)
    assert found.SOPClassUID.name == "RT Structure Set Storage"
    assert [(one.ROINumber, one.ROIName) for one in found.StructureSetROISequence] == [(2, "shell"), (5, "liver")]
    places = {pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID: k
              for k, file in enumerate(source.geometry.files)}  # fmt: skip
    filled = {2: np.zeros(SHAPE, bool), 5: np.zeros(SHAPE, bool)}
    for drawn in found.ROIContourSequence:
        for contour in drawn.ContourSequence:
            world = np.reshape([float(value) for value in contour.ContourData], (-1, 3))
            voxels = np.linalg.solve(LPS_TO_RAS @ affine, np.column_stack((world, np.ones(len(world)))).T)[:3].T
            k = places[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            np.testing.assert_allclose(voxels[:, 2], k, atol=1e-3)
            ring = fill_polygons([Polygon((voxels[:, :2] + 0.5).round(6))], (SHAPE[1], SHAPE[0]))
            filled[drawn.ReferencedROINumber][..., k] ^= ring.T
    np.testing.assert_array_equal(filled[2], SHELL)
    np.testing.assert_array_equal(filled[5], liver(affine))


@pytest.mark.parametrize("name", ["dicom-seg", "rtstruct"])
def test_what_cannot_be_referred_to_is_said(name: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    with pytest.raises(FormatError, match=r"refers to DICOM files, and scan\.nii is none; write nifti or nrrd"):
        writer(name, path, size=(4, 4), video="some/scan.nii").__enter__()
    source = VolumeSlices(folder)
    with (
        pytest.raises(FormatError, match="the file would hold no object"),
        writer(name, path, size=source.size, geometry=source.geometry),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["dicom-seg", "rtstruct"])
@pytest.mark.parametrize(("title", "written"), [("肝 Läber", "肝 Läber"), ("left\\right", "left/right")])
def test_titles_of_any_letters(name: str, title: str, written: str, folder: Path, tmp_path: Path) -> None:
    """A backslash stands between several values in DICOM."""
    source, path = VolumeSlices(folder), tmp_path / "a.dcm"
    with writer(name, path, size=source.size, geometry=source.geometry) as sink:
        item = mask_only(np.ones(source.size, bool))
        sink.write(PlainFrame(1, 0.0, source.size, {1: item}, {1: 1}, descriptions={1: Description(title=title)}))
    found = pydicom.dcmread(path)
    titles = [one.ROIName for one in found.get("StructureSetROISequence", [])]
    titles += [one.SegmentLabel for one in found.get("SegmentSequence", [])]
    assert titles == [written]
    assert found.SpecificCharacterSet == "ISO_IR 192"
