"""Masks that know only their own box: run lengths inside it, and where it lies in the picture.

A mask of a hundred pixels costs the same in a picture of any size, and nothing of the picture's size is in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rlemasklib  # type: ignore[import-untyped]
from numpy.typing import NDArray

from masklet.masks.rle import Rle, decode_rle, encode_rle, from_plain, plain, rle_area, rle_box
from masklet.masks.shape import Box, common_box, mask_box


@dataclass(frozen=True)
class Patch:
    """One mask, not empty.

    box  the smallest around it, in pixels of the picture
    rle  what is inside, of the box's size
    """

    box: Box
    rle: Rle

    @property
    def area(self) -> int:
        return rle_area(self.rle)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """bool of the box's size."""
        return decode_rle(self.rle)


def cut_patch(mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> Patch | None:
    """The patch of a mask, bool (H, W), whose pixel (0, 0) lies at `corner` (x, y); None if it is empty."""
    x0, y0, x1, y1 = mask_box(mask).tolist()
    if x0 == x1:
        return None
    x, y = corner
    return Patch((x0 + x, y0 + y, x1 + x, y1 + y), encode_rle(mask[y0:y1, x0:x1]))


def from_rle(rle: Rle) -> Patch | None:
    """The patch of a mask that is kept as run lengths of the whole picture, without its pixels ever being in memory;
    None if it is empty."""
    x, y, width, height = rle_box(rle)
    if not width:
        return None
    return Patch((x, y, x + width, y + height), from_plain(rlemasklib.crop(plain(rle), (x, y, width, height))))


def paste(patch: Patch, view: Box) -> NDArray[np.bool_]:
    """The mask as it is seen in a part of the picture, bool of the part's size."""
    left, top, right, bottom = view
    mask = np.zeros((bottom - top, right - left), np.bool_)
    if shared := common_box(patch.box, view):
        mask[within(shared, view)] = rlemasklib.decode(cropped(patch, shared))
    return mask


def part_of(patch: Patch, view: Box) -> Patch | None:
    """What of a mask lies in a part of the picture; None if nothing does."""
    x0, y0, x1, y1 = patch.box
    if view[0] <= x0 and view[1] <= y0 and view[2] >= x1 and view[3] >= y1:
        return patch
    return cut_patch(paste(patch, view), view[:2])


def union(patches: Sequence[Patch]) -> Patch:
    """One patch of several, without their pixels ever being in memory."""
    if len(patches) == 1:
        return patches[0]
    x0, y0, x1, y1 = zip(*(patch.box for patch in patches), strict=True)
    box = (min(x0), min(y0), max(x1), max(y1))
    return Patch(box, from_plain(rlemasklib.union([plain(padded(patch, box)) for patch in patches])))


def padded(patch: Patch, outer: Box) -> Rle:
    """The run lengths of the outer box, which holds the patch, without its pixels ever being in memory."""
    x0, y0, x1, y1 = patch.box
    left, top, right, bottom = outer
    return from_plain(rlemasklib.pad(plain(patch.rle), (x0 - left, right - x1, y0 - top, bottom - y1)))


def agreement(one: Patch, other: Patch, view: Box) -> float:
    """Intersection over union of two masks in a part of the picture; 0 if neither is seen there."""
    a, b = paste(one, view), paste(other, view)
    either = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / either if either else 0.0


def shared_area(one: Patch, other: Patch) -> int:
    """Pixels that two masks have in common, by their run lengths."""
    if not (shared := common_box(one.box, other.box)):
        return 0
    return int(rlemasklib.area(rlemasklib.intersection([cropped(one, shared), cropped(other, shared)])))


def cropped(patch: Patch, view: Box) -> dict[str, Any]:
    """The run lengths of a part of the patch's box, as rlemasklib takes them."""
    x0, y0, x1, y1 = view
    x, y = patch.box[:2]
    cut: dict[str, Any] = rlemasklib.crop(plain(patch.rle), (x0 - x, y0 - y, x1 - x0, y1 - y0))
    return cut


def within(box: Box, outer: Box) -> tuple[slice, slice]:
    """A box's rows and columns in an array of the outer box."""
    x0, y0, x1, y1 = box
    left, top, *_ = outer
    return slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
