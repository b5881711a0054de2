"""Prompts of one object or of many, as they are typed, and as tokens.

Letters: N objects, P points of one of them, S side of the model's square.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import PromptError
from masklet.prompts import Prompt, make_prompt

HIGHEST_LOGIT = 32.0
"""Logits of an earlier answer are limited to -32..32, as the published predictor limits what it hands out."""


def prompts_per_object(
    size: tuple[int, int],
    mask_size: int,
    *,
    points: Any = None,
    labels: Any = None,
    boxes: Any = None,
    masks: Any = None,
) -> list[Prompt]:
    """Check what a user gave for one object, or for each of N, in a picture of (height, width) = `size`, as
    `ImagePredictor.predict` takes it; `mask_size` is S/4.

    Raises PromptError if nothing is given, numbers of objects differ, or something does not fit the picture.
    """
    given = {
        "points": per_object(points, depth=2),
        "labels": per_object(labels, depth=1),
        "boxes": per_object(boxes, depth=1),
        "masks": per_object(masks, depth=2),
    }
    counts = {name: len(entries) for name, entries in given.items() if entries is not None}
    if not counts:
        raise PromptError("the prompt is empty; give points, boxes or masks")
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} of {count}" for name, count in counts.items())
        raise PromptError(
            f"the prompts are of different numbers of objects: {told}; "
            "give an entry for each object in each of them, None where there is nothing to say"
        )
    count = next(iter(counts.values()))
    rows = zip(*(entries or [None] * count for entries in given.values()), strict=True)
    return [
        object_prompt(size, mask_size, *row, name=f"object {number}: " if count > 1 else "")
        for number, row in enumerate(rows)
    ]


def object_prompt(
    size: tuple[int, int], mask_size: int, points: Any, labels: Any, box: Any, mask: Any, *, name: str
) -> Prompt:
    """Check what was said about one object; errors begin with `name`."""
    try:
        logits = None if mask is None else check_logits(mask, mask_size)
        only_mask = logits is not None and box is None and labels is None and (points is None or not len(points))
        said = Prompt() if only_mask else make_prompt(size, points=points, labels=labels, box=box)
        return replace(said, logits=logits)
    except PromptError as error:
        raise PromptError(f"{name}{error}") from error


def per_object(entries: Any, depth: int) -> list[Any] | None:
    """One entry for each object; None if nothing is given. `depth` is the number of axes of one object's entry."""
    if entries is None:
        return None
    if isinstance(entries, Sequence) and not isinstance(entries, str):
        # None, or all that is said of one object, and not a part of it such as one point
        many = any(one is None or axes(one) >= depth or (axes(one) == 1 and not len(one)) for one in entries)
    else:
        many = axes(entries) > depth
    return list(entries) if many else [entries]


def axes(value: Any) -> int:
    """How many axes an array has, or how deep the first entries of lists lie."""
    if isinstance(value, list | tuple):
        return 1 + max((axes(entry) for entry in value), default=0)
    return int(np.ndim(value))


def check_logits(mask: ArrayLike, side: int) -> NDArray[np.float32]:
    """The logits of an earlier answer, limited."""
    expected = f"give the logits of an earlier answer, ({side}, {side}), such as result.logits[0]"
    try:
        logits = np.asarray(mask)
    except (TypeError, ValueError) as error:
        raise PromptError(f"masks cannot be read as an array: {error}; {expected}") from error
    if logits.shape != (side, side):
        raise PromptError(f"masks has the shape {logits.shape}; {expected}")
    if logits.dtype.kind != "f":
        raise PromptError(f"masks is of type {logits.dtype}; {expected}, which are floats")
    if not np.isfinite(logits).all():
        raise PromptError(f"masks holds {logits[~np.isfinite(logits)][0]}; {expected}")
    return np.clip(logits, -HIGHEST_LOGIT, HIGHEST_LOGIT).astype(np.float32)
