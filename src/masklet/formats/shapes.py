"""Shapes as annotation tools write them, read with care: corners, boxes, and masks of a part of the picture."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import FormatError
from masklet.masks.polygons import Ring
from masklet.masks.rle import check_near


def ring_of(listed: ArrayLike, size: tuple[int, int], what: str, least: int = 3) -> Ring:
    """Corners, (P, 2), x and y in pixels of a picture of (height, width).

    Raises FormatError, which calls the shape `what`, unless these are at least so many pairs of finite numbers, not far
    outside of the picture.
    """
    try:
        ring = np.asarray(listed, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{what} has corners that are no pairs of numbers; give another copy") from error
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < least or not np.isfinite(ring).all():
        told = f"{ring.tolist()!r:.60}"
        raise FormatError(f"{what} has the corners {told}; expected {least} or more pairs of finite numbers")
    check_near(ring, size, what)
    return ring


def box_ring(x0: float, y0: float, x1: float, y1: float) -> Ring:
    """The corners of a box."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def pasted(part: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int], what: str) -> NDArray[np.bool_]:
    """bool (H, W): a mask of which a part is given, whose pixel (0, 0) lies at `corner` (x, y).

    Raises FormatError if it does not lie in the picture.
    """
    (x, y), (height, width) = corner, part.shape
    if x < 0 or y < 0 or y + height > size[0] or x + width > size[1]:
        raise FormatError(f"{what} does not lie in its picture of {size} pixels (height, width)")
    mask = np.zeros(size, np.bool_)
    mask[y : y + height, x : x + width] = part
    return mask
