"""Where an annotator would click next: inside the region where a mask and the true one differ."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Click:
    """A point on a pixel.

    x, y   column and row, from 0
    label  1 includes: the pixel was missed; 0 excludes: it was taken by mistake
    """

    x: int
    y: int
    label: int


def central_click(predicted: NDArray[np.bool_] | None, truth: NDArray[np.bool_]) -> Click | None:
    """The centre of the largest error: the wrong pixel that lies farthest from everything that is not of its kind.

    predicted  bool (H, W), or None before the first answer
    truth      bool (H, W)

    Of missed and of mistaken pixels apart, the distance to the nearest other pixel or to the picture's border is taken;
    the largest wins, a mistaken pixel if both are equal, the first in reading order. This is the evaluation click of
    the SAM 2 release. None if there is no error.
    """
    missed, mistaken = errors(predicted, truth)
    if not (missed.any() or mistaken.any()):
        return None
    inward, outward = depth(missed), depth(mistaken)
    label = int(inward.max() > outward.max())
    y, x = np.unravel_index(int(np.argmax(inward if label else outward)), truth.shape)
    return Click(int(x), int(y), label)


def random_click(
    predicted: NDArray[np.bool_] | None, truth: NDArray[np.bool_], random: np.random.Generator
) -> Click | None:
    """A wrong pixel, each as likely as any other; None if there is no error. Arguments as in `central_click`."""
    missed, mistaken = errors(predicted, truth)
    wrong = np.flatnonzero(missed | mistaken)
    if not len(wrong):
        return None
    y, x = np.unravel_index(int(random.choice(wrong)), truth.shape)
    return Click(int(x), int(y), int(missed[y, x]))


def errors(
    predicted: NDArray[np.bool_] | None, truth: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The pixels that were missed, and those that were taken by mistake: two bool (H, W)."""
    if predicted is None:
        return truth, np.zeros_like(truth)
    assert predicted.shape == truth.shape, f"masks of {predicted.shape} and {truth.shape} were compared"
    return truth & ~predicted, predicted & ~truth


def depth(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 (H, W): pixels from each pixel of a region to the nearest one outside it, beyond the picture included."""
    padded = cv2.copyMakeBorder(region.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distances = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distances[1:-1, 1:-1], np.float32)
