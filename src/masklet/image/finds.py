"""Masks that were found without being pointed at, on their way through filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from masklet.masks.patch import Patch, patch_boxes


@dataclass(frozen=True, eq=False)
class Finds:
    """M masks.

    patches    the masks, in pixels of the picture
    scores     float32 (M,) predicted IoU, 0..1
    stability  float32 (M,) 0..1
    presence   float32 (M,) 0..1
    candidates int64 (M,) in 0..3, which of the network's masks each is
    points     (M, 2) the click that found each, x and y in pixels of the picture
    crops      (M, 4) the part of the picture in which each was found: x0, y0, x1, y1
    """

    patches: tuple[Patch, ...]
    scores: NDArray[np.float32]
    stability: NDArray[np.float32]
    presence: NDArray[np.float32]
    candidates: NDArray[np.int64]
    points: NDArray[np.float64]
    crops: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def boxes(self) -> NDArray[np.int64]:
        """(M, 4)"""
        return patch_boxes(self.patches)

    @property
    def spans(self) -> NDArray[np.int64]:
        """(M, 4): the boxes from the first to the last pixel, of which the published generator measures the overlap. A
        mask of one pixel's width has no area in that measure, and none is suppressed."""
        return self.boxes - (0, 0, 1, 1)

    @property
    def looked_at(self) -> NDArray[np.int64]:
        """(M,): pixels of these crops."""
        return (self.crops[:, 2] - self.crops[:, 0]) * (self.crops[:, 3] - self.crops[:, 1])

    def rows(self, kept: NDArray[np.int64]) -> Finds:
        """Some of them, in this order."""
        arrays = {field.name: getattr(self, field.name)[kept] for field in fields(self) if field.name != "patches"}
        return replace(self, patches=tuple(self.patches[row] for row in kept), **arrays)

    def with_patches(self, patches: Sequence[Patch]) -> Finds:
        """The same with other masks."""
        return replace(self, patches=tuple(patches))


def join_finds(parts: Sequence[Finds]) -> Finds:
    """All of them, one after another; there must be one part at least."""
    arrays = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Finds)
        if field.name != "patches"
    }
    return Finds(patches=tuple(patch for part in parts for patch in part.patches), **arrays)
