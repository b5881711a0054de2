"""Things cut out of a picture, the name that fits each best of a list, and a sentence about each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import PromptError
from masklet.image.picture import in_batches
from masklet.masks.shape import mask_box, square_around
from masklet.prompts import make_prompt
from masklet.words import Captioner, Namer, load_captioner, load_namer

AROUND = 0.2
"""What a crop shows on each side of the thing, as a share of its longer side, but for those at the picture's border."""

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
    """float32 (M, K) in 0..1: how well each of K names fits each crop, without what lies around the thing. Raises
    PromptError without a name, CheckpointError as `load_namer`."""
    if not names or isinstance(names, str) or not all(str(name or "").strip() for name in names):
        raise PromptError(f"the names are {names!r:.80}; give a list of words, such as ['cat', 'dog']")
    compares = load_namer(namer)
    rows = [compares.compare(alone, names) for alone in in_batches(map(alone_of, crops), COMPARED_AT_ONCE)]
    return np.concatenate([np.zeros((0, len(names)), np.float32), *rows])


def captioned(crops: Iterable["Crop"], captioner: str | PathLike[str] | Captioner = "florence2") -> list[str]:
    """A sentence about each crop, without what lies around the thing. Raises CheckpointError as `load_captioner`."""
    says = load_captioner(captioner)
    return [text for batch in in_batches(map(alone_of, crops), COMPARED_AT_ONCE) for text in says.caption(batch)]


def alone_of(crop: "Crop") -> NDArray[np.uint8]:
    """The thing in grey."""
    return np.where(crop.mask[..., None], crop.image, np.uint8(GREY))


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
    corners = mask_box(given).reshape(2, 2)
    side = int((1 + 2 * AROUND) * np.ptp(corners, axis=0).max()) + 4
    x0, y0, x1, y1 = square_around(corners, side, given.shape)
    return Crop(np.ascontiguousarray(image[y0:y1, x0:x1]), given[y0:y1, x0:x1])
