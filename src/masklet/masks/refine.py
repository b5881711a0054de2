"""Soft edges: from logits to alpha, and the colours of an object where its edge mixes with what is behind."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

BAND = 1 / 120
"""Width of the soft band on each side of the edge, as a share of the picture's shorter side."""

SOLID = 0.98
"""From this alpha on, a pixel's colour is the object's own."""


def soft_alpha(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (H, W) in 0..1: the logits' probability along the mask's edge, 0 and 1 away from it.

    Probability alone would leave holes that shimmer where a model is only fairly sure; so it counts the less the
    farther a pixel is from the edge, and nothing beyond the band.
    """
    mask = logits > 0
    if mask.all() or not mask.any():
        return mask.astype(np.float32)
    band = max(1.5, BAND * min(logits.shape))
    away = np.where(mask, _distance(mask), _distance(~mask)) - 0.5
    weight = np.clip(1 - (away - 0.5) / band, 0, 1)
    probability = 1 / (1 + np.exp(-np.clip(logits, -32, 32)))
    return (weight * probability + (1 - weight) * mask).astype(np.float32)


def own_colors(image: NDArray[Any], alpha: NDArray[np.float32]) -> NDArray[Any]:
    """(H, W, 3), uint8 or uint16 as the picture: the object's colours without what shines through at its edge; black
    where alpha is 0.

    A pixel of the edge is a mixture. The less of it is the object, the more of its colour is taken from the solid
    pixels nearby. Where there are none, as in hair or in a mask of few pixels, the picture's colour stays.
    """
    solid = (alpha >= SOLID).astype(np.float32)
    edge = (alpha > 0) & (alpha < SOLID)
    if not edge.any():
        return np.where(alpha[..., None] > 0, image, 0).astype(image.dtype)
    radius = max(2, round(2.5 * BAND * min(alpha.shape)))
    window = (2 * radius + 1, 2 * radius + 1)
    near = cv2.blur(solid, window)
    colors = cv2.blur(image.astype(np.float32) * solid[..., None], window)[edge]
    weight = near[edge][:, None]
    own = image[edge].astype(np.float32)
    nearby = np.where(weight > 1e-4, colors / np.maximum(weight, 1e-4), own)
    share = alpha[edge][:, None]
    result = np.where(alpha[..., None] > 0, image, 0).astype(image.dtype)
    result[edge] = np.rint(share * own + (1 - share) * nearby).clip(0, np.iinfo(image.dtype).max)
    return result


def blurred_around(image: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): the picture out of focus, without the object: its colours don't bleed into what is behind."""
    height, width = alpha.shape
    scale = max(1, round(min(height, width) / 180))  # a blur of this width loses nothing at a lower resolution
    small = (max(1, width // scale), max(1, height // scale))
    behind = (1.001 - _grown(alpha)).astype(np.float32)  # a trace, for pictures that are all object
    seen: NDArray[np.float32] = image.astype(np.float32) * behind[..., None]
    weighted = cv2.resize(seen, small, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(behind, small, interpolation=cv2.INTER_AREA)
    sigma = min(small) / 30
    colors = cv2.GaussianBlur(weighted, (0, 0), sigma) / cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    full = cv2.resize(np.asarray(colors, np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.rint(full).clip(0, 255).astype(np.uint8)


def blend(
    front: NDArray[np.uint8], alpha: NDArray[np.float32], back: NDArray[np.uint8] | tuple[int, int, int]
) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): the front over the back, a picture of the same size or one colour."""
    share = alpha[..., None]
    return np.rint(share * front + (1 - share) * np.asarray(back, np.float32)).astype(np.uint8)


def _grown(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Alpha, widened by two pixels: edges of the object that the mask just misses count as the object."""
    return np.asarray(cv2.dilate(alpha, np.ones((5, 5), np.uint8)), np.float32)


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The distance of each pixel inside to the nearest one outside; 0 outside."""
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def cut_out(image: NDArray[Any], alpha: NDArray[np.float32]) -> NDArray[Any]:
    """The picture, uint8 or uint16 (H, W, 3), as RGBA (H, W, 4): transparent where alpha (H, W) is 0, and black there,
    so that nothing hides; where alpha is between 0 and 1 the colours are the thing's own."""
    levels = np.rint(alpha * np.iinfo(image.dtype).max).astype(image.dtype)
    return np.dstack((own_colors(image, alpha), levels))
