"""Pictures as they come, in a file, from Pillow, as an array or a tensor, and as the network wants them; things cut out
of them, the name that fits each best of a list, and a sentence about each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from masklet.engines.arrays import Array, concat, given, in_precision, is_tensor, resize, to_numpy
from masklet.engines.base import Engine
from masklet.engines.rules import normalise, padded_square
from masklet.errors import MediaError, PromptError
from masklet.masks.shape import mask_box, square_around
from masklet.media.frames import check_sides, rgb_array
from masklet.media.image_file import read_image, upright_rgb
from masklet.prompts import make_prompt
from masklet.words import Captioner, Namer, load_captioner, load_namer

STRIP_ROWS = 256
"""Rows that are scaled at a time."""

AROUND = 0.2
"""What a crop shows on each side of the thing, as a share of its longer side, but for those at the picture's border."""

GREY = 128
"""What lies around a thing when it is compared with words."""

COMPARED_AT_ONCE = 16
"""Crops that are compared with words together."""

if TYPE_CHECKING:
    from torch import Tensor

PictureLike: TypeAlias = "str | PathLike[str] | Image.Image | NDArray[Any] | Tensor"
"""The types of a picture."""

Item = TypeVar("Item")


def file_name(image: object) -> str:
    """The name of a picture's file; empty for a picture that is not a file."""
    return Path(image).name if isinstance(image, str | PathLike) else ""


def is_batch(images: object) -> TypeGuard[Iterable[Any]]:
    """Whether these are several pictures: a list, or another iterable that is no picture itself."""
    one = isinstance(images, str | PathLike | Image.Image | np.ndarray) or is_tensor(images)
    return isinstance(images, Iterable) and not one


def as_picture(image: Any, name: str = "the picture") -> NDArray[np.uint8]:
    """A picture as uint8 (H, W, 3), RGB, read-only, as it is shown.

    Args:
        image: Path of a file; a PIL picture, which is turned upright by its EXIF note; an array (H, W, 3), (H, W, 4) or
            (H, W); or a tensor (3, H, W), (4, H, W) or (1, H, W). Arrays and tensors hold uint8, uint16 (the upper
            eight bits count) or floats in 0..1. Grey becomes RGB, transparency is dropped.
        name: What errors call it.

    Raises:
        MediaError: The picture cannot be read, is empty, or of another shape, type or range.
    """
    if isinstance(image, str | PathLike):
        picture = read_image(image)
    elif isinstance(image, Image.Image):
        check_sides((image.height, image.width), name)
        picture = upright_rgb(image, name)
    elif is_tensor(image):
        if image.ndim != 3 or image.shape[0] not in (1, 3, 4):
            raise MediaError(
                f"{name} is a tensor of the shape {tuple(image.shape)}; give (3, H, W), colours first, "
                "and several pictures as a list of these"
            )
        picture = rgb_array(to_numpy(image).transpose(1, 2, 0), name)
    elif isinstance(image, np.ndarray):
        picture = rgb_array(image, name)
    else:
        raise MediaError(
            f"{name} is of type {type(image).__name__}; give a path, a PIL picture, an array (H, W, 3) "
            "or a tensor (3, H, W)"
        )
    picture.flags.writeable = False
    return picture


def picture_tensor(image: NDArray[np.uint8], engine: Engine) -> Array:
    """uint8 (H, W, 3) RGB -> (1, 3, S, S) normalised: brought to the square by a bilinear filter with antialias, in
    float, as published for pictures.

    The filter works on each axis alone, so strips of rows are narrowed first: the same numbers sooner, and a large
    picture is never in memory as floats.
    """
    height, width = engine.config.placed(image.shape[:2])
    strips = [image[first : first + STRIP_ROWS].transpose(2, 0, 1)[None] for first in range(0, len(image), STRIP_ROWS)]
    colours = (given(engine, strip.astype(np.float32) / 255) for strip in strips)
    narrow = [resize(strip, (strip.shape[2], width), antialias=True)[0].swapaxes(0, 1) for strip in colours]
    whole = resize(concat(narrow).swapaxes(0, 1)[None], (height, width), antialias=True)
    return in_precision(engine, padded_square(normalise(whole), engine))


def in_batches(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    """Lists of at most `count`, as the items come."""
    rest = iter(items)
    while batch := list(islice(rest, count)):
        yield batch


@dataclass(frozen=True, eq=False)
class Crop:
    """A thing and what lies around it: uint8 (H, W, 3), and its mask, bool (H, W)."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def crop_of(image: NDArray[np.uint8], mask: ArrayLike, what: str) -> Crop:
    """The crop of a mask. Raises PromptError, which calls it `what`, if it is empty or not of the picture's size."""
    pixels = make_prompt((image.shape[0], image.shape[1]), mask=mask).mask
    if pixels is None or not pixels.any():
        raise PromptError(f"{what} is empty; leave it out")
    corners = mask_box(pixels).reshape(2, 2)
    side = int((1 + 2 * AROUND) * np.ptp(corners, axis=0).max()) + 4
    x0, y0, x1, y1 = square_around(corners, side, pixels.shape)
    return Crop(np.ascontiguousarray(image[y0:y1, x0:x1]), pixels[y0:y1, x0:x1])


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
    crops: Iterable[Crop], names: Sequence[str], namer: str | PathLike[str] | Namer = "siglip2"
) -> NDArray[np.float32]:
    """float32 (M, K) in 0..1: how well each of K names fits each crop, without what lies around the thing. Raises
    PromptError without a name, CheckpointError as `load_namer`."""
    if not names or isinstance(names, str) or not all(str(name or "").strip() for name in names):
        raise PromptError(f"the names are {names!r:.80}; give a list of words, such as ['cat', 'dog']")
    compares = load_namer(namer)
    rows = [compares.compare(alone, names) for alone in in_batches(map(alone_of, crops), COMPARED_AT_ONCE)]
    return np.concatenate([np.zeros((0, len(names)), np.float32), *rows])


def captioned(crops: Iterable[Crop], captioner: str | PathLike[str] | Captioner = "florence2") -> list[str]:
    """A sentence about each crop, without what lies around the thing. Raises CheckpointError as `load_captioner`."""
    says = load_captioner(captioner)
    return [text for batch in in_batches(map(alone_of, crops), COMPARED_AT_ONCE) for text in says.caption(batch)]


def alone_of(crop: Crop) -> NDArray[np.uint8]:
    """The thing in grey."""
    return np.where(crop.mask[..., None], crop.image, np.uint8(GREY))
