"""What training sees, written down: clips and their masks as a data set, laid out as DAVIS-2017 is, to measure with or
to look at; films of them; and pictures of what a network answers."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, make_folder, write_whole
from masklet.datasets.frame_folders import ANNOTATIONS, PICTURES, RESOLUTIONS
from masklet.engines.arrays import resize
from masklet.errors import FormatError
from masklet.formats.davis import write_index_png
from masklet.formats.film import write_pictures
from masklet.masks.draw import draw_overlay
from masklet.metrics.sequence import VOID
from masklet.nn import Network
from masklet.training.batch import Batch
from masklet.training.data import Feed, Sample
from masklet.training.prompts import Plan
from masklet.training.unroll import Unroll

WRITTEN_JPEG_QUALITY = 95
"""The quality of the JPEGs of a data set."""

GAP = 4
"""Pixels between clips of a film."""

FILM_RATE = 6.0
"""Frames a second of a film."""

MAX_CLIPS, MAX_FRAMES = 4, 8
"""What is drawn of a batch."""


def write_clips(
    feed: Feed, folder: Path, count: int, split: str = "val", report: Callable[[int], None] = lambda done: None
) -> None:
    """Write the first clips of a feed: JPEGImages, Annotations and, last, ImageSets/2017/SPLIT.txt, which names them.
    `report` is called with the number of clips that are written.

    Raises FormatError if the folder holds something, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FormatError(f"{folder} is not empty; give a new folder for the clips")
    names = [f"clip-{number:04d}" for number in range(count)]
    for number, name in enumerate(names):
        _write_clip(feed.sample(number, 0), folder, name)
        report(number + 1)
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
            Image.fromarray(image).save(temporary, format="JPEG", quality=WRITTEN_JPEG_QUALITY)


def write_preview(feed: Feed, path: Path, *, rows: int = 2, columns: int = 4, pages: int = 2) -> None:
    """Write the first samples of a feed as an MP4: a page of clips plays, then the next. A picture stands still."""
    side = feed.size + GAP
    with write_pictures(path, (rows * side - GAP, columns * side - GAP), FILM_RATE) as write:
        for page in range(pages):
            samples = [feed.sample(page, index) for index in range(rows * columns)]
            for frame in range(feed.options.frames):
                tiles = np.pad([_of_sample(sample, frame) for sample in samples], ((0, 0), (0, GAP), (0, GAP), (0, 0)))
                lines = tiles.reshape(rows, columns, side, side, 3).swapaxes(1, 2)
                picture = lines.reshape(rows * side, columns * side, 3)[:-GAP, :-GAP]
                write(np.ascontiguousarray(picture))


def _of_sample(sample: Sample, frame: int) -> NDArray[np.uint8]:
    """A frame with its masks, dark where nothing is known."""
    at = min(frame, len(sample.images) - 1)
    drawn = _drawn(sample.images[at], sample.masks[:, at])
    drawn[~sample.known[at]] //= 2
    return drawn


@torch.no_grad()
def save_pictures(network: Network, batch: Batch, plan: Plan, path: Path) -> None:
    """Write a picture: for each clip a row of frames with the true masks, and one with the network's last answers.

    Raises FormatError if it cannot be written.
    """
    found, side = batch.masks.clone(), batch.masks.shape[-1]
    answers = {answer.frame: answer.decoded for answer in Unroll(network, batch, plan).predictions()}
    for frame, decoded in answers.items():
        best = decoded.logits[torch.arange(len(found)), decoded.iou.argmax(dim=1)][:, None]
        found[:, frame] = resize(best.float(), (side, side))[:, 0] > 0
    images, rows = batch.images.permute(0, 1, 3, 4, 2).cpu().numpy(), []
    for clip in range(min(len(images), MAX_CLIPS)):
        for masks in (batch.masks, found):
            own = masks[batch.owners == clip].cpu().numpy()
            frames = range(min(batch.frames, MAX_FRAMES))
            rows.append(np.hstack([_drawn(images[clip, frame], own[:, frame]) for frame in frames]))
    make_folder(path.parent)
    with atomic_write(path) as temporary:
        Image.fromarray(np.vstack(rows)).save(temporary, format="JPEG", quality=85)


def _drawn(image: NDArray[np.uint8], masks: Iterable[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    return draw_overlay(np.ascontiguousarray(image), dict(enumerate(masks, start=1)))
