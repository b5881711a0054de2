"""Files that the annotator makes: what a writer is told of the video is what the tracker knows of it."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from masklet.app.exports import export
from masklet.engines.fake import FakeEngine
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
