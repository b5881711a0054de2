"""Where objects of volumes end: Dice of an ellipsoid from one box on its middle slice, with and without `mark_ends`.

    python benchmarks/volumes.py [--model nano]

Two phantoms of 40 slices of 128 x 128: the ellipsoid in smooth texture beside two others, and in even grey with others
of another grey close behind both of its ends.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

import masklet
from masklet.masks.shape import mask_box
from masklet.media.volume import VolumeSlices
from masklet.metrics.volume import dice
from masklet.video.ends import mark_ends

SHAPE, MIDDLE = (128, 128, 40), 20


def ellipsoid(middle: tuple[int, int, int], radii: tuple[int, int, int]) -> NDArray[np.bool_]:
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return (((places - middle) / radii) ** 2).sum(axis=-1) <= 1


ORGAN = ellipsoid((60, 64, MIDDLE), (26, 20, 11))


def textured(rng: np.random.Generator) -> NDArray[np.float64]:
    smooth = gaussian_filter(rng.normal(size=SHAPE), (6, 6, 2))
    scan = 100 + 9 * (smooth / 0.02).clip(-2, 2)
    scan[ellipsoid((100, 40, 14), (14, 14, 8))] += 25
    scan[ellipsoid((30, 100, 26), (12, 16, 9))] -= 20
    scan[ORGAN] += 45
    return scan + rng.normal(size=SHAPE) * 8


def crowded(rng: np.random.Generator) -> NDArray[np.float64]:
    scan = np.full(SHAPE, 60.0)
    for middle in ((60, 64, 34), (60, 64, 4), (100, 40, 14), (30, 100, 26)):
        scan[ellipsoid(middle, (22, 18, 6))] = 110
    scan[ORGAN] = 140
    return scan + rng.normal(size=SHAPE) * 15


def measured(scan: NDArray[np.float64], model: str) -> list[float]:
    """Dice before and after ends are marked, and the worst IoU on slices with more than 500 voxels of the organ."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii"
        nibabel.save(nibabel.Nifti1Image(scan.astype(np.int16), np.diag([1, 1, 2.5, 1])), path)
        with masklet.VideoTracker(VolumeSlices(path), model) as tracker:
            box = mask_box(ORGAN[..., MIDDLE].T)
            tracker.add_box(frame=MIDDLE, object=1, box=box)
            for _ in tracker.propagate(MIDDLE, direction="both"):
                pass

            def found() -> NDArray[np.bool_]:
                return np.stack([tracker.masks(k).objects[1].mask.T for k in range(SHAPE[2])], axis=2)

            before = found()
            mark_ends(tracker)
            after = found()
    inner = [k for k in range(SHAPE[2]) if ORGAN[..., k].sum() > 500]
    either = [(before & ORGAN)[..., k].sum() / (before | ORGAN)[..., k].sum() for k in inner]
    return [dice(before, ORGAN), dice(after, ORGAN), float(min(either))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    table = Table(title=args.model, title_justify="left")
    for column in ("phantom", "Dice", "with ends", "worst IoU on inner slices"):
        table.add_column(column, justify="right")
    for make in (textured, crowded):
        values = measured(make(np.random.default_rng(0)), args.model)
        table.add_row(make.__name__, *(f"{value:.3f}" for value in values))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
