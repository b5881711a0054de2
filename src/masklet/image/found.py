"""Masks that were found without being pointed at: thousands of them, kept as run lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.image.result import Masks
from masklet.masks.patch import Patch, paste, patch_areas, patch_boxes, whole_rle, within
from masklet.masks.png import as_png
from masklet.masks.regions import draw_regions
from masklet.masks.rle import Rle


@dataclass(frozen=True, eq=False, repr=False)
class FoundMasks(Masks):
    """The masks of everything in a picture, each an object of its own.

    They are kept as run lengths, each in its own box, and a mask of the picture's size is made when it is asked for. So
    thousands of masks of a large picture fit into memory. Logits are not kept: `logits` is (0, S/4, S/4).

    Attributes:
        patches: The masks.
        stability: (M,) float32, pixels at a higher threshold as a share of those at a lower one, 0..1.
        points: (M, 2) the click that found each, x and y in pixels.
        crops: (M, 4) the part of the picture in which each was found, x0, y0, x1, y1 in pixels.
    """

    patches: tuple[Patch, ...]
    stability: NDArray[np.float32]
    points: NDArray[np.float64]
    crops: NDArray[np.int64]

    def mask(self, i: int = 0) -> NDArray[np.bool_]:
        """bool (H, W): mask `i`."""
        height, width = self.size
        return paste(self.patches[i], (0, 0, width, height))

    def full_logits(self, i: int = 0) -> NDArray[np.float32]:
        """(H, W) float32: 1 inside mask `i` and -1 outside, as its logits are not kept."""
        return np.where(self.mask(i), np.float32(1), np.float32(-1))

    def rle(self, i: int = 0) -> Rle:
        """The run lengths of mask `i`, as COCO writes them: `rle.to_json()`."""
        return whole_rle(self.patches[i], self.size)

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """(M, 4): x0, y0, x1, y1 around each mask in pixels, x1 and y1 one past the last."""
        return patch_boxes(self.patches)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """(M,): pixels in each mask."""
        return patch_areas(self.patches)

    def index_map(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """(H, W): the mask's number, from 1, at each pixel, 0 where there is none; where masks overlap, the smaller
        one, which is a part of the larger. uint8, or uint16 if there are more than 255."""
        height, width = self.size
        numbers = np.zeros(self.size, np.uint8 if len(self) <= 255 else np.uint16)
        for i in np.argsort(-self.areas, kind="stable"):
            numbers[within(self.patches[i].box, (0, 0, width, height))][self.patches[i].inside] = i + 1
        return numbers

    def overlay(self) -> Image.Image:
        """The picture with every mask tinted; where masks overlap, the smaller one lies on top."""
        return Image.fromarray(draw_regions(self.image, self.index_map()))

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the overlay, at a size that fits."""
        return as_png(self.thumbnail())

    def _rows(self, rows: NDArray[np.intp]) -> FoundMasks:
        return replace(
            self,
            scores=self.scores[rows],
            presence=self.presence[rows],
            objects=self.objects[rows],
            candidates=self.candidates[rows],
            patches=tuple(self.patches[row] for row in rows),
            stability=self.stability[rows],
            points=self.points[rows],
            crops=self.crops[rows],
        )
