"""Masks of one picture as polygons in files: YOLO's labels for segmentation, and LabelMe's JSON."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from PIL import Image

from masklet.masks.keyhole import one_ring
from masklet.masks.png import as_png

if TYPE_CHECKING:
    from masklet.image.result import Masks

TOLERANCE = 1.0
"""LabelMe: corners lie this near to the mask's edge, in pixels, so that they are few enough to be dragged."""

VERSION = "5.0.0"
"""Of LabelMe, whose files these are."""


def yolo_lines(masks: Masks) -> str:
    """A line for each mask that is not empty: the class 0, then x and y of each corner as shares of width and height.

    A mask of several parts or with holes is one ring, whose parts are joined by bridges without area.
    """
    height, width = masks.size
    lines = []
    for i in range(len(masks)):
        ring = one_ring(masks.polygons(i)) / (width, height)
        if len(ring):
            lines.append(" ".join(["0", *(f"{value:.7g}" for value in ring.reshape(-1))]) + "\n")
    return "".join(lines)


def labelme_content(masks: Masks) -> dict[str, Any]:
    """A shape for each part of each mask, with the object's number as its `group_id`, and the picture itself inside."""
    height, width = masks.size
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [
            shape(one_ring([part]).tolist(), int(masks.objects[i]) + 1)
            for i in range(len(masks))
            for part in masks.polygons(i, tolerance=TOLERANCE)
        ],
        "imagePath": "picture.png",
        "imageData": base64.b64encode(as_png(Image.fromarray(masks.image))).decode("ascii"),
        "imageHeight": height,
        "imageWidth": width,
    }


def shape(corners: list[list[float]], number: int) -> dict[str, Any]:
    return {
        "label": "object",
        "points": corners,
        "group_id": number,
        "shape_type": "polygon",
        "flags": {},
    }
