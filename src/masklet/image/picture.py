"""Pictures as they come, in a file, from Pillow, as an array or a tensor, and as the network wants them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.engines.arrays import Array, concat, given, in_precision, is_tensor, resize, to_numpy
from masklet.engines.base import Engine
from masklet.engines.rules import filled_up, normalise
from masklet.errors import MediaError
from masklet.media.arrays import check_sides, rgb_array
from masklet.media.image_file import read_image, upright_rgb

STRIP = 256
"""Rows that are scaled at a time."""

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
    strips = [image[first : first + STRIP].transpose(2, 0, 1)[None] for first in range(0, len(image), STRIP)]
    colours = (given(engine, strip.astype(np.float32) / 255) for strip in strips)
    narrow = [resize(strip, (strip.shape[2], width), antialias=True)[0].swapaxes(0, 1) for strip in colours]
    whole = resize(concat(narrow).swapaxes(0, 1)[None], (height, width), antialias=True)
    return in_precision(engine, filled_up(normalise(whole), engine))


def in_batches(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    """Lists of at most `count`, as the items come."""
    rest = iter(items)
    while batch := list(islice(rest, count)):
        yield batch
