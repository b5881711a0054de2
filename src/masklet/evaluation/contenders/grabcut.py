"""GrabCut: an object cut out by the colours inside and outside of a box or around clicks."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.masks.boxes import mask_box
from masklet.prompts import INCLUDE, Prompt

ROUNDS = 5
"""Times that colours and cut are fitted to each other (Rother et al., SIGGRAPH 2004; OpenCV's own example)."""

LONGEST = 192
"""Larger cuttings are made smaller, in pixels of the longer side; GrabCut takes seconds otherwise."""

AROUND = 0.5
"""Share of a box's sides that is looked at beyond each of them, to learn the background's colours."""

REACH, SURE = 0.25, 0.02
"""Radius around a click, in shares of the shorter side: within one its kind is likely, within the other certain."""


def cut_prompt(image: NDArray[np.uint8], prompt: Prompt) -> NDArray[np.bool_]:
    """The object of a box, of clicks, or of both, in a picture, uint8 (H, W, 3): bool (H, W)."""
    height, width = image.shape[:2]
    hints = np.full((height, width), cv2.GC_BGD if prompt.box else cv2.GC_PR_BGD, np.uint8)
    if prompt.box:
        x0, y0, x1, y1 = (round(edge) for edge in prompt.box)
        hints[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = cv2.GC_PR_FGD
    _draw_clicks(hints, prompt)
    window = _around(prompt.box, (height, width)) if prompt.box else np.s_[:, :]
    mask = np.zeros((height, width), np.bool_)
    mask[window] = _cut(image[window], hints[window])
    return mask


def recut(
    image: NDArray[np.uint8], following: NDArray[np.uint8], masks: Mapping[int, NDArray[np.float32]]
) -> Mapping[int, NDArray[np.float32]]:
    """Each object cut out of the next frame, from the box around its mask, a tenth larger on each side."""
    return {number: _from_box_of(following, soft) for number, soft in masks.items()}


def _from_box_of(image: NDArray[np.uint8], soft: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = mask_box(soft > 0.5).tolist()
    if x0 == x1:
        return np.zeros_like(soft)
    across, down = (x1 - x0) / 10, (y1 - y0) / 10
    box = max(x0 - across, 0.0), max(y0 - down, 0.0), min(x1 + across, float(width)), min(y1 + down, float(height))
    return cut_prompt(image, Prompt(box=box)).astype(np.float32)


def _draw_clicks(hints: NDArray[np.uint8], prompt: Prompt) -> None:
    """Around each click a disk of what is likely, if there is no box, then a small one of what is certain."""
    shorter = min(hints.shape)
    clicks = [
        ((round(x), round(y)), label == INCLUDE) for (x, y), label in zip(prompt.points, prompt.labels, strict=True)
    ]
    if not prompt.box:
        for place, inside in clicks:
            cv2.circle(hints, place, max(2, round(REACH * shorter)), cv2.GC_PR_FGD if inside else cv2.GC_PR_BGD, -1)
    for place, inside in clicks:
        cv2.circle(hints, place, round(SURE * shorter), cv2.GC_FGD if inside else cv2.GC_BGD, -1)


def _around(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[slice, slice]:
    """The part of a picture that a box and its surroundings fill."""
    x0, y0, x1, y1 = box
    across, down = AROUND * (x1 - x0) + 2, AROUND * (y1 - y0) + 2
    rows = slice(max(0, int(y0 - down)), min(size[0], int(y1 + down) + 1))
    return rows, slice(max(0, int(x0 - across)), min(size[1], int(x1 + across) + 1))


def _cut(image: NDArray[np.uint8], hints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """GrabCut on a cutting, at a size that takes no seconds. Where it finds nothing, what was likely is the answer."""
    size = hints.shape[::-1]
    scale = min(1.0, LONGEST / max(size))
    smaller = tuple(max(1, round(side * scale)) for side in size)
    picture = np.ascontiguousarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)[..., ::-1])
    marks = np.ascontiguousarray(cv2.resize(hints, smaller, interpolation=cv2.INTER_NEAREST))
    inside = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if inside.any() and not inside.all():
        cv2.setRNGSeed(0)  # its clustering draws at random
        cv2.grabCut(picture, marks, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    kept = (found if found.any() else inside).astype(np.float32)
    return np.asarray(cv2.resize(kept, size, interpolation=cv2.INTER_LINEAR) > 0.5)
