"""Cut-outs and their journeys: what a thing looks like, and where it is in every frame."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Labelled
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


@dataclass(frozen=True, eq=False)
class CutOut:
    """A thing without its surroundings: uint8 (h, w, 4), RGB and 255 inside, 0 outside."""

    pixels: NDArray[np.uint8]


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
        return CutOut(np.asarray(framed, np.uint8))
    return None


def look_alike(thing: CutOut, rng: np.random.Generator) -> CutOut:
    """The same thing in slightly other colours, mirrored half of the time."""
    gain = rng.uniform(0.75, 1.25, 3)
    pixels = thing.pixels.copy()
    pixels[..., :3] = np.clip(pixels[..., :3] * gain, 0, 255)
    return CutOut(np.ascontiguousarray(pixels[:, ::-1]) if rng.random() < 0.5 else pixels)


def place(thing: CutOut, size: int, rng: np.random.Generator, extent: tuple[float, float]) -> Matrix:
    """From a cut-out's pixels to somewhere in the square; its longest side becomes that share of the square's."""
    height, width = thing.pixels.shape[:2]
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
    pixels: NDArray[np.uint8]
    """(h, w, 4) of the window"""


def seen(thing: CutOut, journey: Journey, frame: int, size: int) -> Seen | None:
    """The visible part of a thing in a frame; None if it is not in the picture."""
    matrix, bend = journey.matrices[frame], journey.bends[frame]
    height, width = thing.pixels.shape[:2]
    window = covered(matrix, bend, (height, width), size)
    if window.x0 >= window.x1 or window.y0 >= window.y1:
        return None
    places = look_up(matrix, bend, size, window)
    found = cv2.remap(thing.pixels, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)  # type: ignore[call-overload]
    return Seen(window, np.asarray(found, np.uint8))
