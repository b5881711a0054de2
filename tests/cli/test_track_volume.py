"""`masklet track` on a volume."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from PIL import Image

from masklet.engines.fake import FakeEngine
from masklet.formats.project_file import read_project
from masklet.video import VideoTracker
from tests.cli.conftest import Read, Run, error_of
from tests.media.test_volume import AFFINE, inside, scan, write_dicom


def test_a_scan_becomes_a_label_map_and_goes_on(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), tmp_path / "scan.nii.gz")
    command = ["track", tmp_path / "scan.nii.gz", "--model", weights, "--format", "nifti", "--out", tmp_path / "out"]
    window = ["--axis", "2", "--window", "40,400"]
    Image.fromarray(inside()[..., 8].T).save(tmp_path / "mask.png")
    assert run(*command, *window, "--mask", f"8:liver:{tmp_path / 'mask.png'}", "--both") == 0
    labels = nibabel.load(tmp_path / "out/formats/nifti.nii.gz")
    np.testing.assert_allclose(labels.affine, AFFINE, atol=1e-4)
    assert labels.shape == scan().shape
    np.testing.assert_array_equal(np.asarray(labels.dataobj)[..., 8], inside()[..., 8])
    assert run(*command, *window, "--box", "3:liver:15,10,30,28", "--both") == 0
    assert "a new prompt for the run" in capsys.readouterr().err
    assert run(*command, "--axis", "1", "--box", "3:liver:15,10,30,28", "--both") == 1
    assert "was made with --axis 2" in capsys.readouterr().err


def test_the_first_part_and_the_first_axis_can_be_chosen(run: Run, tmp_path: Path, weights: Path) -> None:
    """0 is a choice, not none."""
    both, shape = np.stack([scan(), scan()], axis=3), scan().shape
    nibabel.save(nibabel.Nifti1Image(both, AFFINE), tmp_path / "scan.nii.gz")
    command = ["track", tmp_path / "scan.nii.gz", "--model", weights, "--no-overlay", "--out", tmp_path / "out"]
    assert run(*command, "--part", "0", "--axis", "0", "--box", "20:liver:4,3,20,12", "--stop", "22") == 0
    assert read_project(tmp_path / "out/session.masklet").size == (shape[2], shape[1])


def test_ends_are_left_out_and_millilitres_are_said(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), tmp_path / "scan.nii.gz")
    Image.fromarray(inside()[..., 8].T).save(tmp_path / "mask.png")
    command = ["track", tmp_path / "scan.nii.gz", "--model", weights, "--mask", f"8:liver:{tmp_path / 'mask.png'}"]
    assert run(*command, "--format", "nifti", "--find-ends", "--out", tmp_path / "out") == 0
    labels = np.asarray(nibabel.load(tmp_path / "out/formats/nifti.nii.gz").dataobj)
    size = labels.astype(bool).sum() * abs(np.linalg.det(AFFINE[:3, :3])) / 1000
    assert f"liver: {size:.3g} ml" in capsys.readouterr().out
    ended = [k for k in range(9, 16) if not labels[..., k].any()]
    assert ended, "the golden network knows no organ"
    assert ended == list(range(ended[0], 16)), "beyond the end there is nothing"


def test_a_click_in_millimetres(run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read) -> None:
    nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), tmp_path / "scan.nii.gz")
    x, y, z = (AFFINE @ [20, 18, 8, 1])[:3]
    command = ["track", tmp_path / "scan.nii.gz", "--model", weights, "--no-overlay", "--out", tmp_path / "out"]
    assert run(*command, "--point", f"mm:liver:{x:.4f},{y:.4f},{z:.4f}") == 0
    (event,) = [one for one in read_project(tmp_path / "out/session.masklet").events if one["event"] == "prompt"]
    assert event["frame"] == 8
    np.testing.assert_allclose(event["points"], [[20, 18]], atol=1e-3)
    (tmp_path / "p.json").write_text(json.dumps([{"object": "liver", "millimetres": [900, 0, 0]}]))
    assert run(*command, "--overwrite", "--prompts", tmp_path / "p.json") == 1
    assert "(900.0, 0.0, 0.0) mm lies outside the volume scan.nii.gz" in capsys.readouterr().err
    assert run(*command, "--point", "mm:liver:1,2") == 2
    assert "give --point mm:OBJECT:x,y,z" in error_of(capsys)
    assert run("track", video, "--point", "mm:1:1,2,3", "--model", weights, "--out", tmp_path / "film") == 1
    assert "a click in millimetres is for volumes, and this is none" in capsys.readouterr().err


def test_an_ultrasound_is_played_as_a_camera(run: Run, tmp_path: Path, weights: Path) -> None:
    """A capture card is a camera; the film of one stands for it here."""
    cine = pydicom.dcmread(next(write_dicom(tmp_path / "scan").iterdir()))
    del cine.ImagePositionPatient
    cine.NumberOfFrames, cine.FrameTime, cine.PixelData = 4, 100, cine.PixelData * 4
    cine.save_as(tmp_path / "cine.dcm")
    command = ["live", tmp_path / "cine.dcm", "--box", "valve:15,10,30,28", "--model", weights, "--frames", "2"]
    assert run(*command, "--format", "davis", "--out", tmp_path / "out") == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_options_of_volumes_for_a_film(run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read) -> None:
    command = ["track", tmp_path / "scan", "--box", "0:1:20,4,60,50", "--model", weights, "--out", tmp_path]
    assert run(*command, "--find-ends") == 1
    assert "there is nothing at" in capsys.readouterr().err  # not that it is no volume
    command[1] = video
    assert run(*command, "--window", "lung") == 1
    assert "clip.mp4 is no volume; leave out --window" in capsys.readouterr().err
    assert run(*command, "--window", "40;400") == 1
    assert "is no volume" in capsys.readouterr().err
    assert run(*command, "--window", "40,x") == 2
    assert "--window is '40,x'; give LEVEL,WIDTH" in capsys.readouterr().err
    assert run(*command, "--find-ends") == 1
    assert "clip.mp4 is no volume; leave out --find-ends" in capsys.readouterr().err


def test_a_session_of_a_volume_is_converted_in_its_place(run: Run, tmp_path: Path, capsys: Read) -> None:
    nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), tmp_path / "scan.nii.gz")
    with VideoTracker(tmp_path / "scan.nii.gz", FakeEngine()) as tracker:
        tracker.add_mask(frame=8, object="liver", mask=inside()[..., 8].T)
        tracker.save(tmp_path / "a.masklet")
    assert run("convert", tmp_path / "a.masklet", "--out", tmp_path / "a.nii.gz") == 0
    assert run("convert", tmp_path / "a.masklet", "--out", tmp_path / "masks", "--format", "davis") == 0
    video = ("--video", tmp_path / "scan.nii.gz")
    assert run("convert", tmp_path / "masks", "--from", "davis", "--out", tmp_path / "b.nii.gz", *video) == 0
    for name in ("a.nii.gz", "b.nii.gz"):
        labels = nibabel.load(tmp_path / name)
        np.testing.assert_allclose(labels.affine, AFFINE, atol=1e-4)
        np.testing.assert_array_equal(np.asarray(labels.dataobj)[..., 8], inside()[..., 8])
    (tmp_path / "scan.nii.gz").unlink()
    assert run("convert", tmp_path / "a.masklet", "--out", tmp_path / "c.nii.gz") == 1
    assert "names a video at scan.nii.gz, where there is none; give the video too" in capsys.readouterr().err
