"""Files that the annotator makes and takes: what a writer is told of the video is what the tracker knows of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

from masklet.app import files
from masklet.app.files import export, places
from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError
from masklet.video import VideoTracker
from tests.media.test_volume import AFFINE, inside, scan


def test_a_label_map_lies_in_the_grid_of_its_scan(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), path)
    with VideoTracker(path, FakeEngine()) as tracker:
        for frame in (7, 8):
            tracker.add_mask(frame=frame, object="liver", mask=inside()[..., frame].T)
        *_, last = export(tracker, path, tmp_path / "exports", "nifti", first=8)
    found = nibabel.load(tmp_path / "exports" / last["file"])
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-4)
    labels = np.asarray(found.dataobj)
    np.testing.assert_array_equal(labels[..., 8], inside()[..., 8])
    assert not labels[..., :8].any()


def test_a_zip_that_is_none_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "masks.zip"
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FormatError, match=r"masks\.zip cannot be unpacked"), places(path):
        pass
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("../../outside.txt", "x" * 100)
    with pytest.raises(FormatError, match="holds no masks"), places(path):
        pass
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["masks.zip"]
    assert not (tmp_path.parent / "outside.txt").exists()
    monkeypatch.setattr(files, "UNPACKED", 99)
    with pytest.raises(FormatError, match="unpacks to 100 bytes in 1 files"), places(path):
        pass
