"""Made-up clips and their true masks as a data set, laid out as DAVIS-2017 is: to measure with, or to train on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from masklet.atomic import atomic_write, make_folder
from masklet.datasets.frame_folders import ANNOTATIONS, PICTURES, RESOLUTIONS
from masklet.errors import FormatError
from masklet.formats.davis import write_index_png
from masklet.metrics.sequence import VOID
from masklet.training.data.feed import Feed
from masklet.training.data.samples import Sample

QUALITY = 95
"""Of the JPEGs."""


def write_clips(
    feed: Feed, folder: Path, count: int, split: str = "val", tell: Callable[[int], None] | None = None
) -> None:
    """Write the first clips of a feed: JPEGImages, Annotations and, last, ImageSets/2017/SPLIT.txt, which names them.

    Args:
        feed: Its options tell frames, objects and how clips are made.
        folder: New, or empty.
        count: How many clips.
        split: What the list of names is called.
        tell: Called with the number of clips that are written.

    Raises:
        FormatError: The folder holds something, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FormatError(f"{folder} is not empty; give a new folder for the clips")
    names = [f"clip-{number:04d}" for number in range(count)]
    for number, name in enumerate(names):
        _write_clip(feed.sample(number, 0), folder, name)
        if tell is not None:
            tell(number + 1)
    lists = folder / "ImageSets" / "2017"
    make_folder(lists)
    with atomic_write(lists / f"{split}.txt") as temporary:
        temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _write_clip(sample: Sample, folder: Path, name: str) -> None:
    pictures, annotations = (folder / part / RESOLUTIONS[0] / name for part in (PICTURES, ANNOTATIONS))
    make_folder(pictures)
    make_folder(annotations)
    numbers = np.arange(1, len(sample.masks) + 1, dtype=np.uint8)
    for frame, (image, known) in enumerate(zip(sample.images, sample.known, strict=True)):
        index_map = (sample.masks[:, frame] * numbers[:, None, None]).max(axis=0)  # masks of a clip never overlap
        write_index_png(annotations / f"{frame:05d}.png", np.where(known, index_map, VOID))
        with atomic_write(pictures / f"{frame:05d}.jpg") as temporary:
            Image.fromarray(image).save(temporary, format="JPEG", quality=QUALITY)
