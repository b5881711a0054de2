"""What training sees, written down: clips and their masks as a data set, laid out as DAVIS-2017 is, to measure with or
to train on; and a film of clips with their masks drawn in, several side by side."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, make_folder, write_whole
from masklet.datasets.frame_folders import ANNOTATIONS, PICTURES, RESOLUTIONS
from masklet.errors import FormatError
from masklet.formats.davis import write_index_png
from masklet.formats.film import write_pictures
from masklet.masks.draw import draw_overlay
from masklet.metrics.sequence import VOID
from masklet.training.data.feed import Feed
from masklet.training.data.samples import Sample

QUALITY = 95
"""The quality of the JPEGs."""

GAP = 4
"""Pixels between clips."""


def write_clips(
    feed: Feed, folder: Path, count: int, split: str = "val", tell: Callable[[int], None] | None = None
) -> None:
    """Write the first clips of a feed: JPEGImages, Annotations and, last, ImageSets/2017/SPLIT.txt, which names them.
    `tell` is called with the number of clips that are written.

    Raises FormatError if the folder holds something, or cannot be written.
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
    write_whole(lists / f"{split}.txt", "".join(f"{name}\n" for name in names))


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


def write_preview(
    feed: Feed, path: Path, *, rows: int = 2, columns: int = 4, pages: int = 2, rate: float = 6.0
) -> None:
    """Write the first samples of a feed as an MP4: a page of clips plays, then the next. A picture stands still."""
    frames = feed.options.frames
    size = tuple(count * (feed.size + GAP) - GAP for count in (rows, columns))
    with write_pictures(path, (size[0], size[1]), rate) as write:
        for page in range(pages):
            samples = [feed.sample(page, index) for index in range(rows * columns)]
            for frame in range(frames):
                write(_page([_drawn(sample, frame) for sample in samples], columns))


def _drawn(sample: Sample, frame: int) -> NDArray[np.uint8]:
    at = min(frame, len(sample.images) - 1)
    masks = {number: mask[at] for number, mask in enumerate(sample.masks, start=1)}
    drawn = draw_overlay(sample.images[at], masks)
    drawn[~sample.known[at]] //= 2
    return drawn


def _page(pictures: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    framed = [cv2.copyMakeBorder(picture, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT) for picture in pictures]
    lines = [np.hstack(framed[start : start + columns]) for start in range(0, len(framed), columns)]
    return np.ascontiguousarray(np.vstack(lines)[:-GAP, :-GAP])
