"""Prompts as clients of the reference give them, in masklet's words."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from masklet.errors import PromptError
from masklet.prompts import BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, NOT_A_POINT


class Said(NamedTuple):
    """The prompt of one object: clicks (P, 2) with labels (P,), and a box (4,); None for a part that is missing."""

    points: NDArray[np.float64] | None
    labels: NDArray[np.int64] | None
    box: NDArray[np.float64] | None


def said(points: Any, labels: Any, box: Any, size: tuple[int, int], *, in_pixels: bool = True) -> Said:
    """One object's prompt.

    Labels 2 and 3 are a box's corners, -1 is padding, as in the reference. What lies outside the picture, as boxes of
    detectors do, is moved to its border.

    Args:
        points: (P, 2) x and y, or None.
        labels: (P,), or None.
        box: Four numbers in any shape, or None.
        size: (height, width) of the picture.
        in_pixels: Whether coordinates are pixels; else shares of width and height.

    Raises:
        PromptError: Points without as many labels, or one corner of a box alone.
    """
    if (points is None) != (labels is None):
        raise PromptError("points and labels must be given together, one label for each point")
    clicks, kinds = numbers(points, (-1, 2), size, in_pixels), numbers(labels, (-1,))
    corners = None if box is None else numbers(box, (2, 2), size, in_pixels)
    if len(clicks) != len(kinds):
        raise PromptError(f"there are {len(kinds)} labels for {len(clicks)} points; give one label for each point")
    first, second = clicks[kinds == BOX_TOP_LEFT], clicks[kinds == BOX_BOTTOM_RIGHT]
    if len(first) != len(second) or len(first) + (corners is not None) > 1:
        raise PromptError(
            "a box is one point of label 2 and one of label 3, or the argument box; give one of these once"
        )
    if len(first):
        corners = np.concatenate([first, second])
    meant = ~np.isin(kinds, (BOX_TOP_LEFT, BOX_BOTTOM_RIGHT, NOT_A_POINT))
    return Said(
        points=clicks[meant] if meant.any() else None,
        labels=kinds[meant].astype(np.int64) if meant.any() else None,
        box=None if corners is None else corners.reshape(4),
    )


def numbers(
    values: Any, shape: tuple[int, ...], size: tuple[int, int] | None = None, in_pixels: bool = True
) -> NDArray[np.float64]:
    """Lists, arrays or tensors on any device as float64 of a shape; pairs are brought into the picture if its size is
    given."""
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
    try:
        found = np.asarray([] if array is None else array, np.float64).reshape(shape)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{values!r} cannot be taken as numbers of the shape {shape}: {error}") from error
    if size is None:
        return found
    height, width = size
    return np.clip(found if in_pixels else found * (width, height), 0, (width, height))
