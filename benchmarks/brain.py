"""The brain that nilearn ships, as a data set for `masklet eval volumes`.

    pip download --no-deps nilearn
    python benchmarks/brain.py nilearn-*.whl scans
    masklet eval volumes --dataset volumes --root scans [--find-ends]

ICBM 152 (2009a, T1, 1 mm): the mean of 152 people's MRI, without the skull, with the share of grey and of white matter
in each voxel. Labelled are the brain (both together at least a half) and the white matter (more than a half).
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

FILE = "nilearn/datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with zipfile.ZipFile(args.wheel) as wheel, tempfile.TemporaryDirectory() as folder:
        kinds = (wheel.extract(FILE.format(kind), folder) for kind in ("t1", "gm", "wm"))
        scan, grey, white = map(nibabel.Nifti1Image.from_filename, kinds)
        values, part, inner = (np.asarray(image.dataobj, np.int16) for image in (scan, grey, white))
    labels: dict[str, NDArray[np.bool_]] = {"brain": part + inner > 127, "white": inner > 127}
    for name, label in labels.items():
        for kind, data in (("images", values), ("labels", label.astype(np.int16))):
            (args.out / kind).mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(data, scan.affine), args.out / kind / f"{name}.nii.gz")


if __name__ == "__main__":
    main()
