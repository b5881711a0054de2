"""Small objects decoded once more, each in a crop around it, which the network sees at a higher resolution."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.image.result import Detail, Masks
from masklet.masks.shape import Box, mask_box, square_around
from masklet.prompts import Prompt

CROP_SCALE = 3
"""A crop's side, as a multiple of the longer side of the object's box."""

LEAST_SIDE = 32
"""The least side of a crop, in pixels."""

LEAST_GAIN = 1.5
"""A crop that shows the object less than so many times larger is not worth a look."""

Predict = Callable[[NDArray[np.uint8], Prompt], Masks]
"""One mask of an object in a picture of its own, a crop."""


def refine_in_crops(first: Masks, prompts: Sequence[Prompt], predict: Predict) -> Masks:
    """What the whole picture gave, with masks of small objects decoded once more in a crop of it; `prompts` has what
    was said of each object."""
    details: list[Detail | None] = [None] * len(first)
    iou = first.iou.copy()
    for i in range(len(first)):
        logits = first.full_logits(i)
        prompt = prompts[first.objects[i]]
        if crop := crop_around(logits > 0, prompt):
            x0, y0, x1, y1 = crop
            side = first.logits.shape[1]
            earlier = cv2.resize(logits[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_AREA)
            inside = replace(in_crop(prompt, crop, mask_box(logits > 0)), logits=np.asarray(earlier, np.float32))
            again = predict(first.image[y0:y1, x0:x1], inside)
            details[i], iou[i] = Detail(crop, again.logits[0]), again.iou[0]
    return replace(first, iou=iou, details=tuple(details)) if any(details) else first


def crop_around(mask: NDArray[np.bool_], prompt: Prompt) -> Box | None:
    """A square around a mask and what was said of it, inside the picture; None where looking at it gains nothing."""
    x0, y0, x1, y1 = mask_box(mask).tolist()
    if x0 == x1:
        return None
    (height, width), places = mask.shape, np.array([(x0, y0), (x1, y1), *included(prompt)])
    side = max(LEAST_SIDE, int(CROP_SCALE * np.ptp(places, axis=0).max()))
    if max(min(side, width) / width, min(side, height) / height) * LEAST_GAIN > 1:
        return None
    return square_around(places, side, (height, width))


def included(prompt: Prompt) -> list[tuple[float, float]]:
    return [point for point, label in zip(prompt.points, prompt.labels, strict=True) if label]


def in_crop(prompt: Prompt, crop: Box, box: NDArray[np.int64]) -> Prompt:
    """The prompt in pixels of the crop, without clicks beyond it. Without a box it gets that of the first answer."""
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
