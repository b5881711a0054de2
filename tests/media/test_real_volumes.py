"""Files of other makers, as pydicom and nibabel ship them for tests: each is read, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import nibabel
import pydicom
import pytest

from masklet.errors import MediaError
from masklet.media.volume import VolumeSlices

DICOM = Path(pydicom.__file__).parent / "data/test_files"
NIFTI = Path(nibabel.__file__).parent / "tests/data"
FILES = [
    *(path for path in sorted(DICOM.rglob("*")) if path.is_file() and path.suffix in ("", ".dcm")),
    *(path for path in sorted(NIFTI.glob("*")) if path.name.endswith((".nii", ".nii.gz", ".mgz"))),
]
FOLDERS = sorted({path.parent for path in FILES})


def test_each_is_read_or_refused_in_a_sentence() -> None:
    if len(FILES) < 50:
        pytest.skip("pydicom and nibabel came without their test files")
    read, refused = [], {}
    for path in [*FILES, *FOLDERS]:
        try:
            source = VolumeSlices(path)
        except MediaError as error:
            refused[path.name] = str(error)
            continue
        assert source.read(len(source) // 2).image.max() > 0 or source.size
        read.append(path.name)
    assert len(read) > 60
    assert all(sentence.count("\n") == 0 for sentence in refused.values())
    assert "holds no pixels (RT Plan Storage); give a scan" in refused["rtplan.dcm"]
    assert "lacks slices: 161 between 0 and 1" in refused["CT2"]
    assert "holds 3 series" in refused["MR1"]
    assert "lacks the header of a DICOM file" in refused["no_meta.dcm"]
    assert {"JPEG2000.dcm", "MR_small_RLE.dcm", "CT_small.dcm"} <= set(read)


def test_a_compression_that_nothing_decodes_names_a_package() -> None:
    path = DICOM / "SC_rgb_jpeg_gdcm.dcm"
    if not path.exists() or __import__("importlib.util").util.find_spec("gdcm"):
        pytest.skip("pydicom came without the file, or gdcm decodes it")
    with pytest.raises(MediaError, match=r"compressed as JPEG Lossless.*pip install python-gdcm"):
        VolumeSlices(path)
