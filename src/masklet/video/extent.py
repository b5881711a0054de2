"""How large masks are and where: areas and boxes, in cells of low-resolution masks."""

from __future__ import annotations

import torch
from torch import Tensor

from masklet.video.state import Box

NOWHERE: Box = (0, 0, 0, 0)
"""The box around nothing."""


def areas_and_boxes(logits: Tensor) -> list[tuple[int, Box]]:
    """Inner cells of N masks, given as logits (N, h, w), and the boxes around them."""
    inside = logits > 0
    areas = inside.flatten(1).sum(dim=1)
    spans = [edge for axis in (1, 2) for edge in _ends(inside.any(dim=axis))]
    rows = torch.stack((areas, *spans), dim=1).tolist()
    return [(area, (x0, y0, x1, y1) if area else NOWHERE) for area, x0, x1, y0, y1 in rows]


def _ends(hit: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the first True of (N, L), and one past the last, (N,) each."""
    first = hit.int().argmax(dim=1)
    return first, hit.shape[1] - hit.flip(1).int().argmax(dim=1)


def box_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1); 0 if one is empty."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    either = box_area(a) + box_area(b) - both
    return both / either if either else 0.0


def box_area(box: tuple[float, ...]) -> float:
    """Width times height."""
    return (box[2] - box[0]) * (box[3] - box[1])


def box_around(a: Box, b: Box) -> Box:
    """The smallest box around two others that are not empty."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
