"""Volumes with label maps, as the Medical Segmentation Decathlon and nnU-Net lay them out, or simpler.

images/liver.nii.gz       labels/liver.nii.gz
imagesTr/liver_0000.mha   labelsTr/liver.mha
"""

import re
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, Dataset, ObjectMasks, RleMasks
from masklet.datasets.frame_folders import need_folder
from masklet.errors import FormatError, MediaError
from masklet.masks.rle import encode_rle
from masklet.media.volume import VOLUME_SUFFIXES, VolumeSlices, read_volume

VOLUME_FOLDERS = {"val": ("images", "labels"), "train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
"""Where volumes and labels of a split are; those of the first are taken for every split if there are no others."""


def holds_volumes(root: Path) -> bool:
    """Whether a path is a folder of volumes with labels."""
    return any((root / images).is_dir() and _volumes(root / labels) for images, labels in VOLUME_FOLDERS.values())


def open_volumes(root: Path, split: str) -> Dataset:
    """A clip for each volume with labels, its frames the slices along the axis that `VolumeSlices` chooses.

    Raises FormatError for a folder without any, and for labels whose volume is missing.
    """
    need_folder(root, "images and labels")
    names = (
        [VOLUME_FOLDERS[split], *VOLUME_FOLDERS.values()] if split in VOLUME_FOLDERS else list(VOLUME_FOLDERS.values())
    )
    images, labels = next(((root / a, root / b) for a, b in names if _volumes(root / b)), (root, root))
    if images == root:
        raise FormatError(f"{root} holds no labels; expected images/NAME.nii.gz and labels/NAME.nii.gz")
    scans = {_stem(path): path for path in [*_volumes(images), *(f for f in images.glob("*") if f.is_dir())]}
    clips = []
    for file in _volumes(labels):
        if (scan := scans.get(_stem(file))) is None:
            raise FormatError(f"{file} has no volume of its name in {images}; add it, or remove the labels")
        count = len(VolumeSlices(scan))
        clips.append(Clip(_stem(file), scan, {n: partial(masks_of_slice, file, scan, n) for n in range(count)}))
    return Dataset("volumes", split, tuple(clips))


def masks_of_slice(file: Path, scan: Path, frame: int) -> ObjectMasks:
    """The masks of a slice. Raises FormatError if the labels do not lie in the grid of the volume."""
    numbers = _grid(file, scan)[frame]
    height, width = numbers.shape
    found = {int(n): encode_rle(numbers == n) for n in np.unique(numbers) if n}
    return RleMasks(found, (height, width))


@lru_cache(maxsize=2)
def _grid(file: Path, scan: Path) -> NDArray[np.int64]:
    """Labels (T, H, W), as the volume's slices are shown."""
    try:
        labels, geometry = read_volume(file), VolumeSlices(scan).geometry
    except MediaError as error:
        raise FormatError(str(error)) from error
    numbers = np.asarray(labels.voxels).round().astype(np.int64)
    if numbers.shape != geometry.shape or np.abs(labels.affine - geometry.affine).max() > 0.01 * max(geometry.spacing):
        raise FormatError(f"{file.name} does not lie in the grid of {scan.name}; resample it to that volume")
    return np.moveaxis(numbers, geometry.axis, 0).swapaxes(1, 2)


def _volumes(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("[!.]*") if file.name.lower().endswith(VOLUME_SUFFIXES))


def _stem(path: Path) -> str:
    """The name without an ending, and without the channel that nnU-Net writes behind it."""
    endings = "|".join(map(re.escape, VOLUME_SUFFIXES))
    return re.sub(rf"(_0000)?({endings})?$", "", path.name, flags=re.IGNORECASE)
