"""Masks straight from low-resolution logits: where the stretched logits cross a threshold, not every pixel of them.

Stretched bilinearly, logits run in straight lines down a column, from one of their cells to the next. So it is enough
to solve for the places where a line crosses the threshold: the same mask as by stretching, comparing and searching
through every pixel, at a cost that grows with the border of a mask and not with its area.

Letters: h x w cells of the logits, H x W pixels that they are stretched to.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rlemasklib import RLEMask  # type: ignore[import-untyped]


@dataclass(frozen=True, eq=False)
class Stretch:
    """The columns of stretched logits in which anything may lie above some threshold.

    columns  float32 (C, h): cells of the columns, already stretched sideways
    first    number of the first of these columns
    size     (H, W)
    """

    columns: NDArray[np.float32]
    first: int
    size: tuple[int, int]


def stretch(logits: NDArray[np.float32], size: tuple[int, int], lowest: float) -> Stretch:
    """Logits (h, w), stretched sideways to `size` (H, W), where a column holds anything above `lowest`.

    Cells' centres lie as in OpenCV and torch with `align_corners=False`.
    """
    width, cells = size[1], logits.shape[1]
    hot = np.flatnonzero((logits > lowest).any(axis=0))
    if not len(hot):
        return Stretch(np.zeros((0, len(logits)), np.float32), 0, size)
    first = max(0, int((hot[0] - 0.5) * width / cells - 0.5))
    last = min(width, int((hot[-1] + 1.5) * width / cells + 0.5) + 1)
    place = np.clip((np.arange(first, last) + 0.5) * (cells / width) - 0.5, 0, cells - 1)
    left = place.astype(np.int64)
    share = (place - left).astype(np.float32)[:, None]
    upright = np.ascontiguousarray(logits.T)
    columns = upright[left]
    columns += share * (upright[np.minimum(left + 1, cells - 1)] - columns)
    return Stretch(columns, first, size)


def trace(stretched: Stretch, threshold: float) -> Any:
    """The mask where stretched logits lie above a threshold, as rlemasklib's RLEMask of (H, W)."""
    columns, (height, width) = stretched.columns, stretched.size
    count, cells = columns.shape
    inside = np.zeros((count, cells + 2), np.bool_)  # outside above and below, so that every run ends in its column
    np.greater(columns, threshold, out=inside[:, 1:-1])
    column, crossing = np.divmod(np.flatnonzero(inside[:, 1:] != inside[:, :-1]), cells + 1)
    row = np.where(crossing == 0, 0, height)
    inner = (crossing > 0) & (crossing < cells)
    row[inner] = crossed(columns, column[inner], crossing[inner] - 1, threshold, height)
    borders = (column + stretched.first) * height + row
    # Runs of no pixels, where two borders lie in one place, are taken out there.
    return RLEMask.from_counts(np.diff(np.r_[0, borders, height * width]).astype(np.uint32), (height, width))


def crossed(
    columns: NDArray[np.float32],
    column: NDArray[np.int64],
    above: NDArray[np.int64],
    threshold: float,
    height: int,
) -> NDArray[np.int64]:
    """The first pixel on the other side of the threshold, between the cells `above` and `above` + 1 of the columns."""
    a, b = columns[column, above].astype(np.float64), columns[column, above + 1].astype(np.float64)
    cell = above + (threshold - a) / (b - a)
    pixel = (cell + 0.5) * (height / columns.shape[1]) - 0.5
    beyond = np.where(b > threshold, np.floor(pixel) + 1, np.ceil(pixel))  # on the threshold is outside
    return np.clip(beyond, 0, height).astype(np.int64)


def resize_logits(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(S/4, S/4) -> (H, W) = `size`, bilinear: every pixel, where the whole is wanted."""
    height, width = size
    return np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
