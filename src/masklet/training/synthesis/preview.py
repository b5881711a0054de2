"""A film of what training sees: clips with their masks drawn in, several side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.formats.overlay import OverlayWriter
from masklet.masks.draw import draw_overlay
from masklet.training.data.feed import Feed
from masklet.training.data.samples import Sample

GAP = 4
"""Pixels between clips."""


def write_preview(
    feed: Feed, path: Path, *, rows: int = 2, columns: int = 4, pages: int = 2, rate: float = 6.0
) -> None:
    """Write the first samples of a feed as an MP4: a page of clips plays, then the next. A picture stands still."""
    frames = feed.options.frames
    size = tuple(count * (feed.size + GAP) - GAP for count in (rows, columns))
    with OverlayWriter(path, (size[0], size[1]), rate) as film:
        for page in range(pages):
            samples = [feed.sample(page, index) for index in range(rows * columns)]
            for frame in range(frames):
                film.write(_page([_drawn(sample, frame) for sample in samples], columns))


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
