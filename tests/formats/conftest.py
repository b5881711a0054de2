"""What the tests of all formats share: frames as a tracker gives them, made here, and a disk that is full."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.formats.base import FrameLike, ObjectId, ObjectLike, PlainFrame, mask_only
from masklet.formats.registry import formats, writer

Masks = Mapping[ObjectId, NDArray[np.bool_]]

RATE = 24.0

PLACED = ("dicom-seg", "geojson", "geotiff", "gpkg", "rtstruct")
"""These lie on the ground, or refer to a DICOM series: test_maps.py and test_dicom.py test them."""

SUFFIXES = {
    name: f"a{entry.video or ''}" for name, entry in formats().items() if entry.only_read is None and name not in PLACED
}
"""A path for each other format that is written."""

FILMS = ("background", "cineform", "overlay", "prores", "webm")
"""These hold pictures, one after another in one file."""


def frame_of(frame: int, masks: Masks, size: tuple[int, int]) -> PlainFrame:
    """A frame with these masks, its objects numbered in their order, its picture noise of that frame."""
    objects: dict[ObjectId, ObjectLike] = {
        name: mask_only(mask, iou=0.75, presence=0.5) for name, mask in masks.items()
    }
    image = np.random.default_rng(frame).integers(0, 256, (*size, 3), np.uint8)
    return PlainFrame(
        frame, frame / RATE, size, objects, {name: n for n, name in enumerate(masks, start=1)}, image=image
    )


def box_mask(size: tuple[int, int], y0: int, x0: int, y1: int, x1: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def write_all(name: str, path: Path, frames: list[PlainFrame]) -> None:
    """Write frames; the first one says the size."""
    with writer(name, path, size=frames[0].size, rate=RATE) as sink:
        for frame in frames:
            result: FrameLike = frame
            sink.write(result)


@contextmanager
def _limited_files(most: int) -> Iterator[None]:
    """No file of this process can grow beyond `most` bytes: what a full disk does, for all libraries alike."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def full_disk() -> AbstractContextManager[None]:
    """A `with` block in which files have room for some bytes and no more."""
    if sys.platform == "win32":
        pytest.skip("needs limits of POSIX")
    return _limited_files(200)
