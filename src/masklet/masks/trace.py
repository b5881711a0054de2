"""Masks straight from low-resolution logits: where the stretched logits cross a threshold, not every pixel of them.

Stretched bilinearly, logits run in straight lines down a column, from one of their cells to the next. So it is enough
to solve for the places where a line crosses the threshold: the same mask as by stretching, comparing and searching
through every pixel, at a cost that grows with the border of a mask and not with its area.

Letters: h x w cells of the logits, H x W pixels that they are stretched to, R runs.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import rlemasklib  # type: ignore[import-untyped]
from numpy.typing import NDArray

from masklet.masks.patch import Patch
from masklet.masks.rle import from_plain
from masklet.masks.shape import Box


@dataclass(frozen=True, eq=False)
class Stretch:
    """The columns of stretched logits in which anything may lie above some threshold.

    columns  float32 (C, h): cells of the columns, already stretched sideways
    first    number of the first of these columns
    height   H
    """

    columns: NDArray[np.float32]
    first: int
    height: int


@dataclass(frozen=True, eq=False)
class Runs:
    """A mask: R runs of pixels down the columns, ordered.

    column      int64 (R,)
    begin, end  int64 (R,) rows, the end one past the last
    """

    column: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    @property
    def area(self) -> int:
        return int((self.end - self.begin).sum())

    @property
    def box(self) -> Box:
        """The smallest box around the mask; all 0 for an empty one."""
        if not len(self.column):
            return 0, 0, 0, 0
        return int(self.column[0]), int(self.begin.min()), int(self.column[-1]) + 1, int(self.end.max())


def stretch(logits: NDArray[np.float32], size: tuple[int, int], lowest: float) -> Stretch:
    """Logits (h, w), stretched sideways to `size` (H, W), where a column holds anything above `lowest`.

    Cells' centres lie as in OpenCV and torch with `align_corners=False`.
    """
    height, width = size
    cells = logits.shape[1]
    hot = np.flatnonzero((logits > lowest).any(axis=0))
    if not len(hot):
        return Stretch(np.zeros((0, len(logits)), np.float32), 0, height)
    first = max(0, int((hot[0] - 0.5) * width / cells - 0.5))
    last = min(width, int((hot[-1] + 1.5) * width / cells + 0.5) + 1)
    place = np.clip((np.arange(first, last) + 0.5) * (cells / width) - 0.5, 0, cells - 1)
    left = place.astype(np.int64)
    share = (place - left).astype(np.float32)[:, None]
    upright = np.ascontiguousarray(logits.T)
    columns = upright[left]
    columns += share * (upright[np.minimum(left + 1, cells - 1)] - columns)
    return Stretch(columns, first, height)


def trace(stretched: Stretch, threshold: float) -> Runs:
    """The mask where stretched logits lie above a threshold."""
    columns, height = stretched.columns, stretched.height
    count, cells = columns.shape
    inside = np.zeros((count, cells + 2), np.bool_)  # outside above and below, so that every run ends in its column
    np.greater(columns, threshold, out=inside[:, 1:-1])
    column, crossing = np.divmod(np.flatnonzero(inside[:, 1:] != inside[:, :-1]), cells + 1)
    row = np.where(crossing == 0, 0, height)
    inner = (crossing > 0) & (crossing < cells)
    row[inner] = crossed(columns, column[inner], crossing[inner] - 1, threshold, height)
    return paired(column, row, stretched.first)


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


def paired(column: NDArray[np.int64], row: NDArray[np.int64], first: int) -> Runs:
    """Borders as runs. Two borders in one place, with no pixel between them, are none."""
    different = np.flatnonzero(np.r_[True, (column[1:] != column[:-1]) | (row[1:] != row[:-1])]) if len(row) else row
    odd = np.diff(np.r_[different, len(row)]) % 2 == 1
    kept = different[odd]
    return Runs(column[kept][::2] + first, row[kept][::2], row[kept][1::2])


def runs_patch(runs: Runs, corner: tuple[int, int] = (0, 0)) -> Patch | None:
    """The runs as a patch, when their pixel (0, 0) lies at `corner` (x, y) of the picture; None if there are none."""
    if not len(runs.column):
        return None
    x0, y0, x1, y1 = runs.box
    height = y1 - y0
    top = (runs.column - x0) * height - y0
    borders = np.stack((runs.begin + top, runs.end + top), axis=1).ravel()
    joined = np.flatnonzero(borders[1:-1:2] == borders[2::2])  # runs that go on at the top of the next column
    borders = np.delete(borders, np.r_[2 * joined + 1, 2 * joined + 2])
    counts = np.diff(np.r_[0, borders, height * (x1 - x0)])
    encoded = rlemasklib.RLEMask.from_counts(counts.astype(np.uint32), (height, x1 - x0)).to_dict()
    x, y = corner
    return Patch((x0 + x, y0 + y, x1 + x, y1 + y), from_plain(encoded))


def resize_logits(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(S/4, S/4) -> (H, W) = `size`, bilinear: every pixel, where the whole is wanted."""
    height, width = size
    return np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
