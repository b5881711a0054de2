"""Volumes as videos: NIfTI, DICOM, MetaImage and NRRD in, label maps in the same grid out."""

from __future__ import annotations

import gzip
import shutil
import struct
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from masklet import VideoTracker
from masklet.engines.fake import FakeEngine
from masklet.errors import MaskletError, MediaError
from masklet.formats.base import PlainFrame, mask_only
from masklet.formats.registry import format_of, writer
from masklet.geometry import LPS_TO_RAS
from masklet.media.source import open_video
from masklet.media.volume import VolumeSlices

SHAPE = (48, 40, 16)
RADII = np.array([15.0, 11.0, 18.0])
"""Of the ellipsoid, in millimetres."""


def oblique(angles: tuple[float, float, float], spacing: tuple[float, float, float]) -> np.ndarray:
    """An affine that is turned about each axis, with the volume's middle near 0."""
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        one, two = (other for other in range(3) if other != axis)
        step = np.eye(3)
        step[[one, two], [one, two]] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        turn = turn @ step
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2) + (3, -5, 11)
    return affine


OBLIQUE = st.builds(oblique, st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(0.4, 5)] * 3))
"""Affines turned anyhow, of voxels of any proportions."""

AFFINE = oblique((0.3, -0.2, 0.5), (0.8, 0.9, 3.0))


def inside(affine: np.ndarray = AFFINE) -> np.ndarray:
    """bool SHAPE: an ellipsoid about the volume's middle, its axes along the world's."""
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    middle = affine @ [*((np.array(SHAPE) - 1) / 2), 1]
    places = voxels @ affine[:3, :3].T + affine[:3, 3] - middle[:3]
    return ((places / RADII) ** 2).sum(axis=-1) <= 1


def scan(affine: np.ndarray = AFFINE) -> np.ndarray:
    """int16: the ellipsoid at 60 in fat at -100."""
    return np.where(inside(affine), 60, -100).astype(np.int16)


@pytest.fixture
def nifti(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), path)
    return path


def itk_image() -> SimpleITK.Image:
    image, affine = SimpleITK.GetImageFromArray(scan().T), LPS_TO_RAS @ AFFINE
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


def write_dicom(
    folder: Path,
    series: str = "",
    places: list[int] | None = None,
    skip: int | None = None,
    lies: np.ndarray = AFFINE,
) -> Path:
    """A series of single slices, written in no order of their places."""
    folder.mkdir(exist_ok=True)
    affine, uid = LPS_TO_RAS @ lies, series or generate_uid()
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    for number, k in enumerate(np.random.default_rng(0).permutation(SHAPE[2])):
        if k == skip:
            continue
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = pydicom.Dataset()
        one.file_meta = meta
        one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        one.SeriesInstanceUID, one.Modality, one.SeriesDescription = uid, "CT", f"series {uid[-4:]}"
        one.StudyInstanceUID, one.FrameOfReferenceUID = "1.2.3.4", "1.2.3.5"
        one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = "Phantom^A", "7", "", "O"
        one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber = "20260101", "120000", "1", ""
        one.ReferringPhysicianName, one.Manufacturer, one.InstanceNumber = "", "nobody", number + 1
        one.Rows, one.Columns = SHAPE[1], SHAPE[0]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 0
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        one.PixelSpacing = [float(spacing[1]), float(spacing[0])]
        one.ImageOrientationPatient = [*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])]
        one.ImagePositionPatient = (affine @ [0, 0, places[k] if places else k, 1])[:3].tolist()
        one.PixelData = (scan()[..., k].T + 1024).astype(np.uint16).tobytes()
        one.save_as(folder / f"{uid[-4:]}-{number:03}.dcm", enforce_file_format=True)
    return folder


def write(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"scan{kind}"
    if kind in (".nii", ".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), path)
    elif kind == "":
        write_dicom(path)
    else:
        SimpleITK.WriteImage(itk_image(), path)
    return path


@pytest.mark.parametrize("kind", [".nii", ".nii.gz", ".mha", ".nrrd", ""])
def test_the_same_volume_from_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    source = open_video(write(tmp_path, kind))
    geometry = source.geometry
    assert geometry is not None
    np.testing.assert_allclose(geometry.affine, AFFINE, atol=1e-4)
    assert geometry.shape == SHAPE
    assert geometry.axis == 2  # slices lie furthest apart along it
    assert geometry.spacing == pytest.approx((0.8, 0.9, 3.0), abs=1e-5)
    assert (len(source), source.size) == (16, (40, 48))
    for frame in (0, 7, 15):
        expected = np.where(inside()[..., frame].T, 255, 0)
        np.testing.assert_array_equal(source.read(frame).image, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_along_every_axis_and_their_voxels(nifti: Path, axis: int) -> None:
    source = VolumeSlices(nifti, axis=axis)
    rng = np.random.default_rng(axis)
    for _ in range(20):
        frame, x, y = rng.integers(0, [len(source), source.size[1], source.size[0]]).tolist()
        voxel = source.geometry.voxel_at(frame, x, y)
        assert (source.read(frame).image[y, x, 0] == 255) == inside()[tuple(map(int, voxel))]
        place = (AFFINE @ [*voxel, 1])[:3]
        assert source.geometry.pixel_at(place) == (frame, pytest.approx(x, abs=1e-4), pytest.approx(y, abs=1e-4))
    with pytest.raises(MediaError, match="lies outside the volume"):
        source.geometry.pixel_at((900, 0, 0))


def test_brightness_is_one_for_the_whole_volume(tmp_path: Path) -> None:
    voxels = np.arange(8 * 8 * 100, dtype=np.float32).reshape(100, 8, 8).transpose(1, 2, 0)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "ramp.nii")
    means = [frame.image.mean() for frame in VolumeSlices(tmp_path / "ramp.nii", axis=2)]
    assert means == sorted(means)
    assert means[0] < 5
    assert means[-1] > 250
    lung = VolumeSlices(tmp_path / "ramp.nii", axis=2, window="lung").read(0).image
    by_hand = VolumeSlices(tmp_path / "ramp.nii", axis=2, window=(-600, 1500)).read(0).image
    np.testing.assert_array_equal(lung, by_hand)
    assert lung[0, 0, 0] == round((0 + 1350) / 1500 * 255)


def test_values_beyond_single_precision_are_shown_without_a_warning(tmp_path: Path) -> None:
    voxels = np.array([0.0, 1e-3, 1e300, np.inf, np.nan]).reshape(1, 5, 1)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii")
    for window, grey in ((None, 255), ((0.5, 0.5), 0)):
        shown = VolumeSlices(tmp_path / "a.nii", axis=2, window=window).read(0).image[..., 0]
        assert shown[:, 0].tolist() == [0, grey, 255, 255, 0]


@pytest.mark.parametrize("axis", [0, 2])
def test_thick_slices_become_as_close_as_pixels(nifti: Path, axis: int) -> None:
    plain, fine = VolumeSlices(nifti, axis=axis), VolumeSlices(nifti, axis=axis, isotropic=True)
    if axis == 0:  # these are the finest already
        np.testing.assert_array_equal(plain.geometry.affine, fine.geometry.affine)
        return
    assert len(fine) == round(15 * 3 / 0.8) + 1
    assert fine.geometry.spacing == pytest.approx((0.8, 0.9, 15 * 3 / (len(fine) - 1)), abs=1e-4)
    for coarse, place in ((0, 0), (15, len(fine) - 1)):
        np.testing.assert_array_equal(plain.read(coarse).image, fine.read(place).image)
        world = [geometry.affine @ [3, 4, k, 1] for geometry, k in ((plain.geometry, coarse), (fine.geometry, place))]
        np.testing.assert_allclose(world[0], world[1], atol=1e-4)
    solid = (fine._voxels > -20).sum() * fine.geometry.voxel
    assert solid == pytest.approx(4 / 3 * np.pi * RADII.prod() / 1000, rel=0.02)


@pytest.mark.parametrize("name", ["labels.nii.gz", "labels.nrrd"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_lie_in_the_grid_of_the_scan(nifti: Path, tmp_path: Path, name: str, axis: int) -> None:
    source, out, true = VolumeSlices(nifti, axis=axis), tmp_path / name, inside()
    entry = format_of(out)
    with writer(entry.name, out, size=source.size, geometry=source.geometry) as sink:
        for frame in range(len(source)):
            mask = np.take(true, frame, axis).T
            sink.write(PlainFrame(frame, 0.0, source.size, {"tumour": mask_only(mask)}, {"tumour": 3}))
    read = VolumeSlices(out)
    np.testing.assert_allclose(read.geometry.affine, AFFINE, atol=1e-4)
    labels = nibabel.load(out).get_fdata() if name.endswith("gz") else SimpleITK.GetArrayFromImage(
        SimpleITK.ReadImage(out)
    ).T  # fmt: skip
    np.testing.assert_array_equal(labels, np.where(true, 3, 0))
    millilitres = (labels == 3).sum() * read.geometry.voxel
    assert millilitres == pytest.approx(4 / 3 * np.pi * RADII.prod() / 1000, rel=0.02)


@settings(max_examples=30)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 4)] * 3),
    axis=st.integers(0, 2),
)
def test_round_trips_of_any_geometry(
    tmp_path_factory: pytest.TempPathFactory,
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    axis: int,
) -> None:
    folder, affine = tmp_path_factory.mktemp("volume"), oblique(angles, spacing)
    voxels = np.random.default_rng(0).integers(0, 4, (5, 6, 7)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / "scan.nii")
    source = VolumeSlices(folder / "scan.nii", axis=axis)
    for name in ("labels.nii.gz", "labels.nrrd"):
        with writer(format_of(folder / name).name, folder / name, size=source.size, geometry=source.geometry) as sink:
            for frame in range(len(source)):
                labels = np.take(voxels, frame, axis).T
                masks = {number: mask_only(labels == number) for number in (1, 2, 3)}
                sink.write(PlainFrame(frame, 0.0, source.size, masks, {1: 1, 2: 2, 3: 3}))
        found = VolumeSlices(folder / name)
        np.testing.assert_allclose(found.geometry.affine, affine, atol=1e-3)
        np.testing.assert_array_equal(found._voxels, voxels)
    shutil.rmtree(folder)


@settings(max_examples=8)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 4)] * 3),
    axis=st.integers(0, 2),
    voxel=st.tuples(*(st.integers(0, side - 1) for side in SHAPE)),
)
def test_a_dicom_series_of_any_geometry_lies_where_it_says(
    tmp_path_factory: pytest.TempPathFactory,
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    axis: int,
    voxel: tuple[int, int, int],
) -> None:
    """Also if its slices count against their normal; and millimetres lead to the voxel that lies there."""
    folder, affine = tmp_path_factory.mktemp("series"), oblique(angles, spacing)
    source = VolumeSlices(write_dicom(folder, lies=affine), axis=axis)
    np.testing.assert_allclose(source.geometry.affine, affine, atol=1e-3)
    frame, x, y = source.geometry.pixel_at((affine @ [*voxel, 1])[:3])
    assert source.geometry.voxel_at(frame, x, y) == pytest.approx(voxel, abs=1e-2)
    assert source.values(frame)[round(y), round(x)] == scan()[voxel]
    shutil.rmtree(folder)


def test_a_volume_is_tracked_from_its_middle_and_exported(nifti: Path, tmp_path: Path) -> None:
    with VideoTracker(VolumeSlices(nifti), FakeEngine()) as tracker:
        tracker.add_mask(frame=8, object="liver", mask=inside()[..., 8].T)
        frames = {result.frame for result in tracker.propagate(8, direction="both")}
        assert frames == set(range(16))
        tracker.export(tmp_path / "labels.nii.gz")
        tracker.save(tmp_path / "scan.masklet")
    labels = np.asarray(nibabel.load(tmp_path / "labels.nii.gz").dataobj)
    np.testing.assert_array_equal(labels[..., 8] > 0, inside()[..., 8])
    with VideoTracker.open(tmp_path / "scan.masklet", model=FakeEngine()) as again:
        assert again.known_frames() == list(range(16))


def test_slices_that_are_missing_double_or_uneven(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="lacks slices: 1 between 4 and 5"):
        open_video(write_dicom(tmp_path / "gap", skip=5))
    with pytest.raises(MediaError, match="several slices at one place"):
        open_video(write_dicom(tmp_path / "double", places=[min(k, 14) for k in range(16)]))
    with pytest.raises(MediaError, match=r"uneven slices: 4\.2 mm between 14 and 15, else 3"):
        open_video(write_dicom(tmp_path / "uneven", places=[*range(15), 15.4]))  # type: ignore[list-item]


def test_a_folder_with_two_series_names_them(tmp_path: Path) -> None:
    write_dicom(tmp_path / "two", "1.2.3.1111")
    with pytest.raises(MediaError, match=r"2 series \(series 1111 of 16; series 2222 of 16\)"):
        open_video(write_dicom(tmp_path / "two", "1.2.3.2222"))


def test_several_volumes_in_one_file(tmp_path: Path) -> None:
    voxels = np.stack([scan(), scan() + 50], axis=3)
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), tmp_path / "times.nii")
    with pytest.raises(MediaError, match="holds 2 volumes; choose one by part, 0 to 1"):
        open_video(tmp_path / "times.nii")
    assert len(VolumeSlices(tmp_path / "times.nii", part=1)) == 16
    with pytest.raises(MediaError, match="has no part 2"):
        VolumeSlices(tmp_path / "times.nii", part=2)


def test_wrong_calls_and_damaged_files(nifti: Path, tmp_path: Path) -> None:
    for wrong, said in (
        ({"axis": 3}, "axes 0, 1 and 2"),
        ({"window": "lungs"}, "nearest: lung"),
        ({"window": (40, 0)}, "the width over 0"),
        ({"window": (40,)}, "the width over 0"),
    ):
        with pytest.raises(MediaError, match=said):
            VolumeSlices(nifti, **wrong)
    nibabel.save(nibabel.Nifti1Image(scan().astype(np.complex64), AFFINE), tmp_path / "complex.nii")
    with pytest.raises(MediaError, match=r"complex\.nii holds values of type complex64; give a volume of real numbers"):
        VolumeSlices(tmp_path / "complex.nii")
    half = nifti.read_bytes()[:600]
    damaged = {"cut.nii.gz": half, "empty.nii": b"", "text.nrrd": b"NRRD0004\nnothing\n", "no.dcm": b"x" * 200}
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MediaError, match=name):
            open_video(tmp_path / name).read(0)


def test_a_header_that_promises_more_than_memory(tmp_path: Path) -> None:
    data = bytearray(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)).to_bytes())
    struct.pack_into("<8h", data, 40, 3, 30_000, 30_000, 30_000, 1, 1, 1, 1)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(MediaError, match=r"a\.nii\.gz says that it is larger than memory; is it damaged"):
        open_video(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("named", ["../b.raw", "LIST\n../b.raw", "/etc/hostname"])
def test_a_meta_image_reads_nothing_outside_of_its_folder(tmp_path: Path, named: str) -> None:
    (tmp_path / "in").mkdir()
    SimpleITK.WriteImage(itk_image(), tmp_path / "in/a.mhd")
    head = (tmp_path / "in/a.mhd").read_text()
    (tmp_path / "in/a.raw").rename(tmp_path / "b.raw")
    (tmp_path / "in/a.mhd").write_text(head.replace("a.raw", named))
    with pytest.raises(MediaError, match="they must lie in its own folder"):
        open_video(tmp_path / "in/a.mhd")


def test_a_meta_image_that_names_no_file(tmp_path: Path) -> None:
    """ITK ends the process for some of these."""
    SimpleITK.WriteImage(itk_image(), tmp_path / "a.mha")
    data = (tmp_path / "a.mha").read_bytes()
    for number, name in enumerate((b" \x07\x84\xe3\xc8", b"", b" \t ")):
        (tmp_path / f"{number}.mha").write_bytes(data.replace(b" LOCAL", name))
        with pytest.raises(MediaError, match="names no file for its voxels"):
            open_video(tmp_path / f"{number}.mha")


def test_a_stack_of_pictures_becomes_a_volume_of_a_millimetre(tmp_path: Path) -> None:
    mask = np.zeros((6, 9), bool)
    mask[2, 7] = True
    with writer("nifti", tmp_path / "a.nii.gz", size=(6, 9), frame_count=4) as sink:
        sink.write(PlainFrame(1, 0.0, (6, 9), {"cell": mask_only(mask)}, {"cell": 5}))
    found = nibabel.load(tmp_path / "a.nii.gz")
    assert found.shape == (9, 6, 4)
    np.testing.assert_array_equal(found.affine, np.eye(4))
    assert np.argwhere(np.asarray(found.dataobj)).tolist() == [[7, 2, 1]]
    assert found.dataobj[7, 2, 1] == 5


def test_a_slice_alone_lies_where_its_series_lies(tmp_path: Path) -> None:
    whole = VolumeSlices(write_dicom(tmp_path / "all"))
    (tmp_path / "one").mkdir()
    shutil.copy(whole.geometry.files[3], tmp_path / "one")
    for path in (whole.geometry.files[3], tmp_path / "one"):
        alone = VolumeSlices(path, axis=2)
        np.testing.assert_allclose(alone.geometry.affine @ [0, 0, 0, 1], AFFINE @ [0, 0, 3, 1], atol=1e-3)
        np.testing.assert_allclose(alone.geometry.affine[:3, :2], AFFINE[:3, :2], atol=1e-4)
        np.testing.assert_array_equal(alone.values(0), whole.values(3))


def test_units_of_a_file_with_many_frames(tmp_path: Path) -> None:
    """Each frame may say how its stored values become units; what is shared says it for all."""
    whole = pydicom.dcmread(next(write_dicom(tmp_path / "scan").iterdir()))
    del whole.RescaleSlope, whole.RescaleIntercept, whole.ImagePositionPatient
    stored = np.arange(2 * SHAPE[1] * SHAPE[0], dtype=np.uint16).reshape(2, SHAPE[1], SHAPE[0])
    whole.NumberOfFrames, whole.PixelData = 2, stored.tobytes()

    def units(slope: float, intercept: float) -> pydicom.Dataset:
        group, said = pydicom.Dataset(), pydicom.Dataset()
        said.RescaleSlope, said.RescaleIntercept = slope, intercept
        group.PixelValueTransformationSequence = [said]
        return group

    whole.PerFrameFunctionalGroupsSequence = [units(1, -1024), units(2, 5)]
    whole.save_as(tmp_path / "many.dcm")
    source = VolumeSlices(tmp_path / "many.dcm", axis=2)
    np.testing.assert_array_equal(source.values(0), stored[0] - 1024.0)
    assert source.rate is None
    np.testing.assert_array_equal(source.values(1), stored[1] * 2.0 + 5)
    whole.SharedFunctionalGroupsSequence = [units(1, 7)]
    whole.FrameTime = 40  # milliseconds, of an ultrasound's film
    whole.save_as(tmp_path / "many.dcm")
    film = VolumeSlices(tmp_path / "many.dcm", axis=2)
    np.testing.assert_array_equal(film.values(1), stored[1] + 7.0)
    assert (film.rate, film.read(1).time) == (25, 0.04)


def test_a_frame_beyond_all_memory_is_told(tmp_path: Path) -> None:
    item = mask_only(np.ones((4, 5), bool))
    with (
        pytest.raises(MaskletError, match=r"a\.nii\.gz would have 1000000000000001 slices"),
        writer("nifti", tmp_path / "a.nii.gz", size=(4, 5)) as sink,
    ):
        sink.write(PlainFrame(10**15, 0.0, (4, 5), {1: item}, {1: 1}))


def test_a_picture_of_two_axes_is_no_volume(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((4, 5), np.uint8)), tmp_path / "flat.mha")
    with pytest.raises(MediaError, match=r"flat\.mha has 2 axes; give a volume of three"):
        VolumeSlices(tmp_path / "flat.mha")


def test_masks_beyond_the_last_slice_are_told(nifti: Path, tmp_path: Path) -> None:
    source = VolumeSlices(nifti)
    item = mask_only(np.ones(source.size, bool))
    with (
        pytest.raises(MaskletError, match=r"masks of frame 16, and scan\.nii\.gz ends before it"),
        writer("nifti", tmp_path / "a.nii.gz", size=source.size, geometry=source.geometry) as sink,
    ):
        sink.write(PlainFrame(16, 16.0, source.size, {1: item}, {1: 1}))


def test_what_a_damaged_header_holds_is_told_in_one_line(tmp_path: Path) -> None:
    """The kind of an object that has no pixels is quoted, and may be anything."""
    report = pydicom.dcmread(next(write_dicom(tmp_path / "scan").iterdir()))
    del report.PixelData, report.Rows
    report.save_as(tmp_path / "report.dcm")
    data = (tmp_path / "report.dcm").read_bytes()
    kind = report.SOPClassUID.encode()
    (tmp_path / "report.dcm").write_bytes(data.replace(kind, b"1.2\n\x1b[31m\0".ljust(len(kind), b"7")))
    with pytest.raises(MediaError, match=r"^report\.dcm holds no pixels \(1\.2  \[31m 7") as refused:
        VolumeSlices(tmp_path / "report.dcm")
    assert str(refused.value).isprintable()
