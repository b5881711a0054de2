"""Things cut out of a picture, and the name that fits each best of a list.

Letters: K names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import PromptError
from masklet.masks.shape import Box, mask_box
from masklet.prompts import make_prompt
from masklet.words import Namer, load_namer

AROUND = 0.2
"""What a crop shows on each side of the thing, as a share of its longer side."""

GREY = 128
"""What lies around a thing when it is compared with words."""

COMPARED_AT_ONCE = 16
"""Crops that are compared with words together."""


@dataclass(frozen=True)
class Naming:
    """The name of a mask.

    Attributes:
        name: Empty if it is like none of the names.
        likeness: To the name that is most like it, -1..1.
        likenesses: To each of the K names.
    """

    name: str
    likeness: float
    likenesses: tuple[float, ...] = field(repr=False)


def naming(row: NDArray[np.float32], names: Sequence[str], least: float) -> Naming:
    """The name by the likenesses (K,) of one thing."""
    best = int(row.argmax())
    likeness = float(row[best])
    return Naming(names[best] if likeness >= least else "", likeness, tuple(row.tolist()))


def compared(
    crops: Iterable["Crop"], names: Sequence[str], namer: str | PathLike[str] | Namer = "siglip2"
) -> NDArray[np.float32]:
    """float32 (M, K) in 0..1: how well each name fits each crop, without what lies around the thing.

    Raises PromptError without a name, CheckpointError as `load_namer`.
    """
    if not names or isinstance(names, str) or not all(str(name or "").strip() for name in names):
        raise PromptError(f"the names are {names!r:.80}; give a list of words, such as ['cat', 'dog']")
    compares = load_namer(namer) if isinstance(namer, str | PathLike) else namer
    rest, rows = iter(crops), [np.zeros((0, len(names)), np.float32)]
    while batch := list(islice(rest, COMPARED_AT_ONCE)):
        alone = [np.where(crop.mask[..., None], crop.image, np.uint8(GREY)) for crop in batch]
        rows.append(compares.compare(alone, names))
    return np.concatenate(rows)


@dataclass(frozen=True, eq=False)
class Crop:
    """A thing and what lies around it: uint8 (H, W, 3), and its mask, bool (H, W)."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def crop_of(image: NDArray[np.uint8], mask: ArrayLike, what: str) -> Crop:
    """The crop of a mask. Raises PromptError, which calls it `what`, if it is empty or not of the picture's size."""
    given = make_prompt((image.shape[0], image.shape[1]), mask=mask).mask
    if given is None or not given.any():
        raise PromptError(f"{what} is empty; leave it out")
    x0, y0, x1, y1 = around(tuple(mask_box(given).tolist()), given.shape)
    return Crop(np.ascontiguousarray(image[y0:y1, x0:x1]), given[y0:y1, x0:x1])


def around(box: Box, size: tuple[int, ...]) -> Box:
    """The square around a box with a margin, as far as it lies in the picture of (height, width)."""
    x0, y0, x1, y1 = box
    half = (0.5 + AROUND) * max(x1 - x0, y1 - y0) + 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return (
        max(0, int(x - half)),
        max(0, int(y - half)),
        min(size[1], int(x + half) + 1),
        min(size[0], int(y + half) + 1),
    )
