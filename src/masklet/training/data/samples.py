"""One clip to arrays: which frames, which part of the picture, which objects.

Letters: T frames, K objects, S side of the model's square.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Labelled
from masklet.training.batch import PickOptions, draw_objects


class Sample(NamedTuple):
    """A clip (T = 1: a picture) and some of its objects."""

    images: NDArray[np.uint8]  # (T, S, S, 3)
    masks: NDArray[np.bool_]  # (K, T, S, S)
    known: NDArray[np.bool_]  # (T, S, S)
    flows: NDArray[np.float32] | None = None  # (T, S/4, S/4, 2), see `Batch`


@dataclass(frozen=True)
class ViewOptions:
    """Which part of a picture is seen, the same in all frames; what is seen is stretched to the square."""

    whole: float = 1.0  # share of samples that show the whole picture, as published
    least_area: float = 0.25  # the others show at least this share of it
    aspect: float = 0.4  # the logarithm of their aspect changes by at most this


class Part(NamedTuple):
    """A part of a picture as shares of its sides."""

    x0: float
    y0: float
    x1: float
    y1: float


WHOLE = Part(0.0, 0.0, 1.0, 1.0)


def draw_frames(
    count: int, wanted: int, rng: np.random.Generator, *, stride: int = 1, reverse: float = 0.5
) -> list[int]:
    """Consecutive frames of a video of `count` labelled ones, from anywhere in it, reversed with that probability.

    stride  every frame up to every so many-th
    A video that is too short ends with its last frame again and again.
    """
    step = int(rng.integers(1, stride + 1))
    span = min((wanted - 1) * step, count - 1)
    first = int(rng.integers(count - span))
    frames = [first + min(index * step, span) for index in range(wanted)]
    return frames[::-1] if rng.random() < reverse else frames


def draw_part(options: ViewOptions, rng: np.random.Generator) -> Part:
    if rng.random() < options.whole:
        return WHOLE
    area, aspect = rng.uniform(options.least_area, 1), math.exp(rng.uniform(-options.aspect, options.aspect))
    width, height = min(1.0, math.sqrt(area * aspect)), min(1.0, math.sqrt(area / aspect))
    x0, y0 = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return Part(x0, y0, x0 + width, y0 + height)


def cut_sample(
    clip: Sequence[Labelled], objects: int, size: int, rng: np.random.Generator, part: Part, pick: PickOptions
) -> Sample | None:
    """Take up to so many objects that are seen in the first frame of a clip; None if there is none."""
    chosen: list[NDArray[np.bool_]] = []
    for name in draw_objects(clip[0], rng, pick):
        first = _cut_mask(clip[0].masks[name], part, size)
        if first.any() and first.mean() >= pick.least:
            chosen.append(np.stack([first, *(_mask(frame, name, part, size) for frame in clip[1:])]))
        if len(chosen) == objects:
            break
    if not chosen:
        return None
    shrinks = clip[0].image.shape[1] * (part.x1 - part.x0) > size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    images = np.stack([_cut(frame.image, part, size, how) for frame in clip])
    return Sample(images, np.stack(chosen), np.stack([_known(frame, part, size) for frame in clip]))


def _mask(frame: Labelled, number: int, part: Part, size: int) -> NDArray[np.bool_]:
    mask = frame.masks.get(number)
    return np.zeros((size, size), np.bool_) if mask is None else _cut_mask(mask, part, size)


def _known(frame: Labelled, part: Part, size: int) -> NDArray[np.bool_]:
    void = frame.masks.void
    return np.ones((size, size), np.bool_) if void is None else ~_cut_mask(void, part, size)


def _cut_mask(mask: NDArray[np.bool_], part: Part, size: int) -> NDArray[np.bool_]:
    return _cut(mask.view(np.uint8), part, size, cv2.INTER_NEAREST).view(np.bool_)


def _cut(pixels: NDArray[np.uint8], part: Part, size: int, how: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    x0, x1 = (round(edge * width) for edge in (part.x0, part.x1))
    y0, y1 = (round(edge * height) for edge in (part.y0, part.y1))
    seen = pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return np.asarray(cv2.resize(seen, (size, size), interpolation=how), np.uint8)
