"""Prompts as clients of the reference give them, taken as they are: the network answers what lies outside the picture,
boxes without area, and padding, as it does there.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from masklet.engines.arrays import resize
from masklet.errors import PromptError
from masklet.prompts import BOX_BOTTOM_RIGHT, EXCLUDE, INCLUDE, NOT_A_POINT, Prompt

LABELS = range(NOT_A_POINT, BOX_BOTTOM_RIGHT + 1)
"""Labels that the network knows: -1 padding, 0 exclude, 1 include, 2 and 3 the corners of a box."""


class NothingAsked(PromptError, AssertionError):
    """Prompts of no object at all; the reference fails by an assertion."""


def prompt_of(points: Any, labels: Any, box: Any, size: tuple[int, int], *, in_pixels: bool = True) -> Prompt:
    """One object's prompt in a picture of (height, width) = `size`: points (P, 2), x and y, with labels (P,), and a box
    of four numbers in any shape; None for what is not said. Coordinates that are no pixels are shares of the sides.

    Raises PromptError for points without as many labels, an unknown label, or what is no finite number.
    """
    if (points is None) != (labels is None):
        raise PromptError("points and labels must be given together, one label for each point")
    clicks, kinds = numbers(points, (-1, 2)), numbers(labels, (-1,))
    if len(clicks) != len(kinds):
        raise PromptError(f"there are {len(kinds)} labels for {len(clicks)} points; give one label for each point")
    if unknown := [kind for kind in kinds.tolist() if kind not in LABELS]:
        raise PromptError(f"a label is {unknown[0]:g}; give {INCLUDE} to include or {EXCLUDE} to exclude")
    height, width = size
    scale = (1, 1) if in_pixels else (width, height)
    corners = None if box is None else numbers(box, (2, 2)) * scale
    return Prompt(
        points=tuple((float(x), float(y)) for x, y in clicks * scale),
        labels=tuple(int(kind) for kind in kinds),
        box=None if corners is None else tuple(corners.ravel().tolist()),  # type: ignore[arg-type]  # four of them
    )


def click_or_box_of(points: Any, labels: Any, box: Any, size: tuple[int, int], *, in_pixels: bool) -> Prompt:
    """As `prompt_of`, but raises PromptError too if there are neither points nor a box."""
    prompt = prompt_of(points, labels, box, size, in_pixels=in_pixels)
    if not prompt.points and prompt.box is None:
        raise PromptError("the prompt is empty; give points with labels, or a box")
    return prompt


def mask_of(values: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask as an array or a tensor, bool or 0 and 1, as bool (H, W); one of another size is scaled."""
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    inside: NDArray[np.bool_] = array > 0
    if inside.ndim == 2 and inside.size and inside.shape != size:
        inside = resize(inside[None, None].astype(np.float32), size, antialias=True)[0, 0] >= 0.5
    return inside


def numbers(values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Lists, arrays or tensors on any device as finite float64 of a shape. Raises PromptError for anything else."""
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
    try:
        found = np.asarray([] if array is None else array, np.float64).reshape(shape)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{values!r} cannot be taken as numbers of the shape {shape}: {error}") from error
    if not np.isfinite(found).all():
        raise PromptError(f"{values!r} holds {found[~np.isfinite(found)][0]}; give finite numbers")
    return found
