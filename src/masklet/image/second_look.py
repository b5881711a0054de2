"""A second look at small objects: a crop of the picture around each, which the network sees at a higher resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.image.prompts import ObjectPrompt
from masklet.image.result import Masks
from masklet.masks.boxes import mask_box
from masklet.masks.patch import Box, within
from masklet.masks.png import as_png
from masklet.masks.stretch import stretched
from masklet.prompts import Prompt

SURROUNDINGS = 3
"""A crop's side, as a multiple of the longer side of the object's box."""

LEAST_SIDE = 32
"""Of a crop, in pixels."""

LEAST_GAIN = 1.5
"""A crop that shows the object less than so many times larger is not worth a look."""

Logits = NDArray[np.float32]
Answer = Callable[[NDArray[np.uint8], ObjectPrompt], Masks]
"""One mask of an object in a picture of its own, a crop."""


@dataclass(frozen=True, eq=False, repr=False)
class RefinedMasks(Masks):
    """Masks of which some were looked at a second time.

    `logits` are those of the first look, at the whole picture; as a mask prompt they refine the answer as ever.

    Attributes:
        crops: Of each mask, the part of the picture that was looked at again; None where the first look was enough.
        details: (M, S/4, S/4) float32, the logits in that part; all 0 where there is none.
    """

    crops: tuple[Box | None, ...]
    details: Logits

    def full_logits(self, i: int = 0) -> Logits:
        """(H, W) float32: the logits of mask `i`, in its crop those of the second look."""
        logits, crop = super().full_logits(i), self.crops[i]
        if crop is not None:
            height, width = self.size
            x0, y0, x1, y1 = crop
            logits[within(crop, (0, 0, width, height))] = stretched(self.details[i], (y1 - y0, x1 - x0))
        return logits

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the overlay, at a size that fits."""
        return as_png(self.thumbnail())

    def _rows(self, rows: NDArray[np.intp]) -> RefinedMasks:
        kept = super()._rows(rows)
        assert isinstance(kept, RefinedMasks), "rows of refined masks are refined masks"
        return replace(kept, crops=tuple(self.crops[row] for row in rows), details=self.details[rows])


def look_again(first: Masks, prompts: Sequence[ObjectPrompt], answer: Answer) -> Masks:
    """The masks, those of small objects from a second look.

    Args:
        first: What the first look gave.
        prompts: What was said of each object.
        answer: Makes one mask of a crop.
    """
    crops: list[Box | None] = [None] * len(first)
    details, scores = np.zeros_like(first.logits), first.scores.copy()
    for i in range(len(first)):
        logits = first.full_logits(i)
        prompt = prompts[first.objects[i]].given or Prompt()
        if crop := crop_around(logits > 0, prompt):
            x0, y0, x1, y1 = crop
            side = first.logits.shape[1]
            earlier = cv2.resize(logits[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_AREA)
            said = ObjectPrompt(moved(prompt, crop, mask_box(logits > 0)), np.asarray(earlier, np.float32))
            again = answer(first.image[y0:y1, x0:x1], said)
            crops[i], details[i], scores[i] = crop, again.logits[0], again.scores[0]
    if not any(crops):
        return first
    return RefinedMasks(
        logits=first.logits,
        scores=scores,
        presence=first.presence,
        objects=first.objects,
        candidates=first.candidates,
        image=first.image,
        crops=tuple(crops),
        details=details,
    )


def crop_around(mask: NDArray[np.bool_], prompt: Prompt) -> Box | None:
    """A square around a mask and what was said of it, inside the picture; None where looking at it gains nothing."""
    x0, y0, x1, y1 = mask_box(mask).tolist()
    if x0 == x1:
        return None
    height, width = mask.shape
    places = [(x0, y0), (x1, y1), *included(prompt)]
    left, top = np.min(places, axis=0)
    right, bottom = np.max(places, axis=0)
    side = max(LEAST_SIDE, int(SURROUNDINGS * max(right - left, bottom - top)))
    across, down = min(side, width), min(side, height)
    if max(across / width, down / height) * LEAST_GAIN > 1:
        return None
    x = int(np.clip((left + right - across) / 2, 0, width - across))
    y = int(np.clip((top + bottom - down) / 2, 0, height - down))
    return x, y, x + across, y + down


def included(prompt: Prompt) -> list[tuple[float, float]]:
    """The clicks on the object itself."""
    return [point for point, label in zip(prompt.points, prompt.labels, strict=True) if label]


def moved(prompt: Prompt, crop: Box, box: NDArray[np.int64]) -> Prompt:
    """What was said, in pixels of the crop; clicks beyond it are left out. Where there was no box it is that of the
    first answer."""
    x0, y0, x1, y1 = crop
    inside = [
        ((x - x0, y - y0), label)
        for (x, y), label in zip(prompt.points, prompt.labels, strict=True)
        if x0 <= x <= x1 and y0 <= y <= y1
    ]
    left, top, right, bottom = prompt.box or box.tolist()
    edges = (max(left, x0) - x0, max(top, y0) - y0, min(right, x1) - x0, min(bottom, y1) - y0)
    points, labels = tuple(point for point, _ in inside), tuple(label for _, label in inside)
    return Prompt(points, labels, edges if edges[0] < edges[2] and edges[1] < edges[3] else None)
