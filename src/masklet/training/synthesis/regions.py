"""Things to follow in pictures that nobody labelled: regions of much the same colour."""

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import IndexMasks

SEEDS = 12
"""The picture is flooded from about SEEDS x SEEDS places."""

SMOOTH = 7
"""Pixels over which colours are smoothed first."""

LONGEST = 256
"""Regions are found at this size, and enlarged."""


def find_regions(image: NDArray[np.uint8], rng: np.random.Generator, most: int = 24) -> IndexMasks:
    """Up to so many regions of a picture, uint8 (H, W, 3): flooded from scattered seeds (Meyer's watershed, 1992), and
    neighbours of like colour joined. They cover the whole picture where they are few."""
    height, width = image.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    small = cv2.resize(
        image, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    smooth = np.asarray(cv2.medianBlur(small, SMOOTH), np.uint8)
    flooded = np.asarray(cv2.watershed(smooth, _seeds((smooth.shape[0], smooth.shape[1]), rng)))
    lines_filled = cv2.dilate(np.maximum(flooded, 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    cells = np.asarray(lines_filled, np.uint8)
    joined = _join(cells, smooth, rng.uniform(8, 30))
    labels = np.zeros_like(cells)
    sizes = np.bincount(joined.ravel(), minlength=256)
    sizes[0] = 0
    for number, region in enumerate(np.argsort(sizes)[::-1][:most], start=1):
        if sizes[region]:
            labels[joined == region] = number
    return IndexMasks(np.asarray(cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8))


def _seeds(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int32]:
    """Markers (H, W), numbered from 1: one somewhere in each of SEEDS x SEEDS cells of the picture."""
    cells = np.moveaxis(np.indices((SEEDS, SEEDS)), 0, -1)
    places = ((cells + rng.random(cells.shape)) * size / SEEDS).astype(int).reshape(-1, 2)
    markers = np.zeros(size, np.int32)
    markers[tuple(np.minimum(places, np.array(size) - 1).T)] = np.arange(1, len(places) + 1)
    return markers


def _join(cells: NDArray[np.uint8], image: NDArray[np.uint8], distance: float) -> NDArray[np.uint8]:
    """Join neighbouring cells whose mean colours (Lab) are nearer than `distance`."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float64)
    count = int(cells.max()) + 1
    sizes = np.maximum(np.bincount(cells.ravel(), minlength=count), 1)
    means = np.stack(
        [np.bincount(cells.ravel(), lab[..., c].ravel(), minlength=count) / sizes for c in range(3)], axis=1
    )
    beside = np.vstack((_pairs(cells[:, :-1], cells[:, 1:]), _pairs(cells[:-1], cells[1:])))
    pairs = np.unique(np.sort(beside, axis=1), axis=0)
    gaps = np.linalg.norm(means[pairs[:, 0]] - means[pairs[:, 1]], axis=1)
    root = np.arange(count)
    for a, b in pairs[np.argsort(gaps)][: int((gaps < distance).sum())]:
        root[root == root[b]] = root[a]
    return np.asarray(root[cells], np.uint8)


def _pairs(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    differs = a != b
    return np.stack((a[differs], b[differs]), axis=1)
