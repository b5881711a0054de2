"""What a picture's prompts are answered with: low-resolution logits are kept, a mask is made when it is asked for.

Letters: M masks of N objects, S side of the model's square, H x W the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.image.coco import coco_content
from masklet.image.save import save_masks
from masklet.masks.boxes import mask_box
from masklet.masks.cutout import cut_out
from masklet.masks.draw import draw_overlay
from masklet.masks.guided import Edges, mask_alpha
from masklet.masks.png import as_png
from masklet.masks.polygons import Polygon, mask_polygons
from masklet.masks.rle import Rle, encode_rle
from masklet.masks.stretch import stretched

NOTEBOOK_SIDE = 1024
"""Longer side, in pixels, of the picture that a notebook shows."""


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of one picture.

    One object has one mask, or three candidates if its prompt was ambiguous, best first. Of several objects the masks
    follow each other in the order of the prompts; `objects` tells whose each is, `of(n)` takes out those of one, and
    `best` the best one of each, so that `best.masks[n]` is object n's.

    Attributes:
        logits: (M, S/4, S/4) float32, positive inside; as a mask prompt they refine the answer.
        scores: (M,) float32, predicted intersection over union, 0..1.
        presence: (M,) float32, probability that the object is in the picture, 0..1.
        objects: (M,) int64, number of the object, from 0, in the order of the prompts.
        candidates: (M,) int64 in 0..3, which of the network's masks it is: 0 is meant for clear prompts, 1 to 3 for
            ambiguous ones.
        image: (H, W, 3) uint8, the picture.
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    presence: NDArray[np.float32]
    objects: NDArray[np.int64]
    candidates: NDArray[np.int64]
    image: NDArray[np.uint8]

    def __len__(self) -> int:
        """M"""
        return len(self.scores)

    def __repr__(self) -> str:
        scores = ", ".join(f"{score:.2f}" for score in self.scores[:8])
        height, width = self.size
        return f"Masks({len(self)} of {width} x {height} pixels, scores {scores}{', ...' if len(self) > 8 else ''})"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture and of every mask."""
        height, width = self.image.shape[:2]
        return height, width

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """bool (M, H, W), all at once; `mask(i)` makes one alone."""
        return np.stack(list(self)) if len(self) else np.zeros((0, *self.size), np.bool_)

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """(M, 4): x0, y0, x1, y1 around each mask in pixels, x1 and y1 one past the last; all 0 for an empty mask."""
        return self._each(mask_box, (0, 4))

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """(M,): pixels in each mask."""
        return self._each(np.count_nonzero, (0,))

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        """The masks one after another, bool (H, W), made as they are asked for."""
        return map(self.mask, range(len(self)))

    def mask(self, i: int = 0) -> NDArray[np.bool_]:
        """bool (H, W): mask `i`."""
        return self.full_logits(i) > 0

    def full_logits(self, i: int = 0) -> NDArray[np.float32]:
        """(H, W) float32: the logits of mask `i`, stretched to the picture, bilinear."""
        return stretched(self.logits[i], self.size)

    def rle(self, i: int = 0) -> Rle:
        """The run lengths of mask `i`, as COCO writes them: `rle.to_json()`."""
        return encode_rle(self.mask(i))

    def of(self, object: int) -> Masks:
        """The masks of one object, by its number from 0, best first."""
        return self._rows(np.flatnonzero(self.objects == object))

    @property
    def best(self) -> Masks:
        """The best mask of each object: (N, H, W), one after another in the order of the prompts."""
        return self._rows(np.unique(self.objects, return_index=True)[1])

    def overlay(self) -> Image.Image:
        """The picture with the best mask of each object tinted, numbered from 1 if there are several."""
        best = self.best
        numbers = range(1, len(best) + 1)
        labels = {number: str(number) for number in numbers} if len(best) > 1 else None
        return Image.fromarray(draw_overlay(self.image, list(zip(numbers, best, strict=True)), labels=labels))

    def index_map(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """(H, W): the object's number, from 1, at each pixel, 0 where there is none; where the best masks of two
        objects overlap, the surer one. uint8, or uint16 if there are more than 255 objects."""
        best = self.best
        numbers = np.zeros(self.size, np.uint8 if len(best) <= 255 else np.uint16)
        surest = np.zeros(self.size, np.float32)
        for i in range(len(best)):
            logits = best.full_logits(i)
            wins = logits > surest
            numbers[wins], surest[wins] = i + 1, logits[wins]
        return numbers

    def alpha(self, i: int = 0, edges: Edges = "soft") -> NDArray[np.float32]:
        """(H, W) float32 in 0..1: how much of each pixel is the thing of mask `i`.

        Args:
            i: Number of the mask.
            edges: "soft": the edge follows the picture, into hair and fur (a guided filter); "hard": 0 and 1 only; or
                `SoftEdges` with another radius and epsilon.

        Raises:
            PromptError: Other edges.
        """
        return mask_alpha(self.image, self.mask(i), edges)

    def cutout(self, i: int = 0, edges: Edges = "hard") -> Image.Image:
        """Mask `i` cut out: RGBA of the picture's size, transparent and black outside the mask.

        With soft edges, as in `alpha`, colours at the edge are the thing's own, without what shines through.
        """
        return Image.fromarray(cut_out(self.image, self.alpha(i, edges)))

    def polygons(self, i: int = 0, *, tolerance: float = 0.0) -> list[Polygon]:
        """The parts of mask `i`, the largest first, each with its `outer` border and its `holes`: (P, 2), x and y.

        They run along the edges of pixels, so that nothing is lost; with a `tolerance` in pixels corners are left out
        that lie no farther from the line.
        """
        return mask_polygons(self.mask(i), tolerance)

    def to_coco(self, file_name: str = "") -> dict[str, Any]:
        """All masks as the content of a COCO JSON file: compressed run lengths, boxes (x, y, width, height), areas,
        scores, and the `object_id` of each. Empty masks have no annotation."""
        return coco_content(self, self.objects, file_name)

    def save(self, path: str | PathLike[str], format: str | None = None) -> None:
        """Write the best mask of each object to a file, which appears when it is whole.

        Args:
            path: Where to; an earlier file is replaced.
            format: "index" (PNG: a pixel's value is the object's number), "cutout" (PNG: the objects, transparent
                around them), "soft-cutout" (the same with soft edges), "overlay" (PNG: the picture with the masks drawn
                in), "coco" (JSON), "labelme" (JSON, the picture inside) or "yolo" (text: a polygon for each object). If
                not given the ending tells: .png is "index", .json is "coco", .txt is "yolo".

        Raises:
            FormatError: Unknown format or ending, too many objects for it, or a path that cannot be written.
        """
        save_masks(self.best, Path(path), format)

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the overlay, drawn at a size that fits."""
        picture = Image.fromarray(self.image)
        picture.thumbnail((NOTEBOOK_SIDE, NOTEBOOK_SIDE))
        return as_png(replace(self, image=np.asarray(picture)).overlay())

    def thumbnail(self) -> Image.Image:
        """The overlay, at a size that fits a notebook."""
        picture = self.overlay()
        picture.thumbnail((NOTEBOOK_SIDE, NOTEBOOK_SIDE))
        return picture

    def _rows(self, rows: NDArray[np.intp]) -> Masks:
        return replace(
            self,
            logits=self.logits[rows],
            scores=self.scores[rows],
            presence=self.presence[rows],
            objects=self.objects[rows],
            candidates=self.candidates[rows],
        )

    def _each(self, measure: Callable[[NDArray[np.bool_]], Any], empty: tuple[int, ...]) -> NDArray[np.int64]:
        """A measure of every mask, of which only one is in memory at a time."""
        return np.array([measure(mask) for mask in self], np.int64) if len(self) else np.zeros(empty, np.int64)
