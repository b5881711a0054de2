"""Things to follow: cut out of pictures, found where nobody labelled any, and their journeys through a clip."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import IndexMasks, Labelled
from masklet.masks.shape import mask_box
from masklet.training.batch import PickOptions, draw_objects
from masklet.training.synthesis.motion import (
    Matrix,
    MotionOptions,
    Window,
    covered,
    draw_bends,
    draw_path,
    look_up,
)

LEAST_THING = PickOptions(least=0.005, most=0.6, size_power=0.5)
"""Which objects are cut out."""

MARGIN = 2
"""Transparent pixels around a cut-out."""


CutOut = NDArray[np.uint8]
"""A thing without its surroundings: (h, w, 4), RGB and 255 inside, 0 outside."""


@dataclass(frozen=True, eq=False)
class Journey:
    """Where something is in every frame: a transform from its pixels to the square's, and a bend."""

    matrices: list[Matrix]
    bends: list[NDArray[np.float32] | None]


def cut_out(picture: Labelled, rng: np.random.Generator) -> CutOut | None:
    """One of a picture's objects; None if it has none of a fitting size."""
    for name in draw_objects(picture, rng, LEAST_THING):
        mask = picture.masks[name]
        x0, y0, x1, y1 = mask_box(mask)
        alpha = np.where(mask[y0:y1, x0:x1], 255, 0).astype(np.uint8)
        pixels = np.dstack((picture.image[y0:y1, x0:x1], alpha))
        framed = cv2.copyMakeBorder(pixels, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
        framed[..., 3] = cv2.copyMakeBorder(alpha, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT)
        return np.asarray(framed, np.uint8)
    return None


def look_alike(thing: CutOut, rng: np.random.Generator) -> CutOut:
    """The same thing in slightly other colours, mirrored half of the time."""
    gain = rng.uniform(0.75, 1.25, 3)
    pixels = thing.copy()
    pixels[..., :3] = np.clip(pixels[..., :3] * gain, 0, 255)
    return np.ascontiguousarray(pixels[:, ::-1]) if rng.random() < 0.5 else pixels


def place(thing: CutOut, size: int, rng: np.random.Generator, extent: tuple[float, float]) -> Matrix:
    """From a cut-out's pixels to somewhere in the square; its longest side becomes that share of the square's."""
    height, width = thing.shape[:2]
    scale = rng.uniform(*extent) * size / max(height, width)
    x, y = rng.uniform(0.15, 0.85, 2) * size
    return np.array([[scale, 0, x - scale * width / 2], [0, scale, y - scale * height / 2], [0, 0, 1.0]])


def stay(start: Matrix, frames: int, size: int, rng: np.random.Generator, motion: MotionOptions) -> Journey:
    """A journey that begins at a place and wanders about."""
    centre = start @ np.array([0, 0, 1.0])
    path = draw_path(frames, size, rng, motion)
    middle = np.eye(3)
    middle[:2, 2] = size / 2 - centre[:2] / centre[2]
    back = np.linalg.inv(middle)
    return Journey([back @ step @ middle @ start for step in path], draw_bends(frames, size, rng, motion.bend))


def leave(journey: Journey, size: int, rng: np.random.Generator) -> Journey:
    """The same, but away from the picture for some frames in the middle, and back again."""
    frames = len(journey.matrices)
    if frames < 4:
        return journey
    gone = int(rng.integers(1, max(2, frames // 2)))
    first = int(rng.integers(2, frames - gone + 1))  # the frames before it are those in which it goes
    angle = rng.uniform(0, 2 * np.pi)
    direction = 1.6 * size * np.array([np.cos(angle), np.sin(angle)])
    time = np.arange(frames)
    away = np.clip(np.minimum((time - first + 2) / 2, (first + gone + 1 - time) / 2), 0, 1)
    return Journey(
        [_shifted(matrix, share * direction) for matrix, share in zip(journey.matrices, away, strict=True)],
        journey.bends,
    )


def pass_by(thing: CutOut, frames: int, size: int, rng: np.random.Generator, extent: tuple[float, float]) -> Journey:
    """A journey straight through the picture, from one side to the other."""
    start = place(thing, size, rng, extent)
    angle, moment = rng.uniform(0, 2 * np.pi), rng.uniform(0, frames - 1)
    speed = rng.uniform(0.12, 0.35) * size * np.array([np.cos(angle), np.sin(angle)])
    matrices = [_shifted(start, (frame - moment) * speed) for frame in range(frames)]
    return Journey(matrices, [None] * frames)


def _shifted(matrix: Matrix, by: NDArray[np.float64]) -> Matrix:
    shift = np.eye(3)
    shift[:2, 2] = by
    return np.asarray(shift @ matrix)


class Seen(NamedTuple):
    """A thing as it is in the square in a frame."""

    window: Window
    pixels: NDArray[np.uint8]  # (h, w, 4) of the window


def seen(thing: CutOut, journey: Journey, frame: int, size: int) -> Seen | None:
    """The visible part of a thing in a frame; None if it is not in the picture."""
    matrix, bend = journey.matrices[frame], journey.bends[frame]
    height, width = thing.shape[:2]
    window = covered(matrix, bend, (height, width), size)
    if window.x0 >= window.x1 or window.y0 >= window.y1:
        return None
    places = look_up(matrix, bend, size, window)
    found = cv2.remap(thing, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)  # type: ignore[call-overload]
    return Seen(window, np.asarray(found, np.uint8))


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
