"""Pictures that are in memory already, or that a program makes one after another."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.frames import Frame, FrameSource, ListedFrames, check_size

RANGE_TOLERANCE = 1e-3
"""A float picture may leave 0..1 by this much, as interpolation leaves it."""

EXHAUSTED = object()
"""What comes after the last array."""


class ArrayFrames(ListedFrames):
    """A list of arrays (H, W, 3), or one array (T, H, W, 3): RGB, of uint8, uint16, or floats in 0..1.

    Grey pictures, (H, W) or (H, W, 1), become RGB; of RGBA the transparency is dropped. The list is read as it
    is asked for, so anything with a length and an index will do. Raises MediaError if it is empty, and, on the
    way, for an array that is no such picture, or of another size than the first.
    """

    def __init__(self, arrays: Sequence[Any] | NDArray[Any]) -> None:
        if isinstance(arrays, np.ndarray):
            shape = arrays.shape
            if arrays.ndim == 3 and shape[2] in (3, 4):
                raise MediaError(
                    f"an array of shape {shape} is a picture, not a video; give (T, H, W, 3), or a list of pictures"
                )
            if arrays.ndim not in (3, 4):
                raise MediaError(f"an array of shape {shape} is not a video; give (T, H, W, 3), or (T, H, W) for grey")
        if len(arrays) == 0:
            raise MediaError("the list of frames is empty; give one array or more")
        self._arrays = arrays
        super().__init__(len(arrays), None)

    def _image(self, frame: int) -> NDArray[np.uint8]:
        return rgb_array(np.asarray(self._arrays[frame]), self._name(frame))

    def _name(self, frame: int) -> str:
        return f"frame {frame}"


class IteratorFrames(FrameSource):
    """Arrays (H, W, 3) that come one after another, once: those of a generator, or of another program's reader.

    As ArrayFrames, but without length or random access: each frame is given out once, and the number of a frame
    says how many came before. The first array is taken when opened, to know the size.
    """

    seekable = False

    def __init__(self, arrays: Iterable[Any]) -> None:
        rest = iter(arrays)
        if (first := next(rest, EXHAUSTED)) is EXHAUSTED:
            raise MediaError("the iterable of frames is empty; give one array or more")
        image = rgb_array(np.asarray(first), "frame 0")
        self._arrays: Iterator[Any] = chain([image], rest)
        self._next = 0
        self.size = (image.shape[0], image.shape[1])

    def read(self, frame: int) -> Frame:
        raise MediaError("the frames of an iterable come once, in order; give a list to read them by number")

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """The frames that have not come yet. Raises MediaError if `start` was given out before."""
        if 0 < start < self._next:
            raise MediaError(f"frame {start} has been given out, and an iterable does not go back; give a list instead")
        return super().frames(start, stop)

    def _frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        while stop is None or self._next < stop:
            if (array := next(self._arrays, EXHAUSTED)) is EXHAUSTED:
                self.frame_count, self.frame_count_exact = self._next, True
                return
            name = f"frame {self._next}"
            image = check_size(rgb_array(np.asarray(array), name), self.size, name, "frame 0")
            frame = Frame(self._next, float(self._next), image)
            self._next += 1
            if frame.index >= start:
                yield frame


def rgb_array(image: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """A new array, uint8 (H, W, 3), of one of uint8, uint16 (the upper eight bits count) or floats in 0..1; grey
    becomes RGB, transparency is dropped. Raises MediaError, which calls it `name`, if it is no such picture."""
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if not grey and not (image.ndim == 3 and image.shape[2] in (3, 4)):
        first = "; colours come last: image.transpose(1, 2, 0)" if image.ndim == 3 and image.shape[0] in (3, 4) else ""
        raise MediaError(
            f"{name} has the shape {image.shape}; give (H, W, 3) for RGB, (H, W, 4) with transparency, "
            f"or (H, W) for grey, and several pictures as a list of these{first}"
        )
    check_sides(image.shape[:2], name)
    levels = as_levels(image.reshape(*image.shape[:2], -1)[..., :3], name)
    return np.repeat(levels, 3, axis=2) if grey else levels


def as_levels(image: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """The same values in 0..255, in memory of their own."""
    if image.dtype == np.uint8:
        return np.array(image, np.uint8, order="C")
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if image.dtype.kind != "f":
        raise MediaError(f"{name} holds values of type {image.dtype}; give uint8 from 0 to 255, or floats from 0 to 1")
    if not np.isfinite(image).all():
        raise MediaError(f"{name} holds {image[~np.isfinite(image)][0]}; give finite numbers from 0 to 1")
    lowest, highest = float(image.min()), float(image.max())
    if lowest < -RANGE_TOLERANCE or highest > 1 + RANGE_TOLERANCE:
        raise MediaError(
            f"{name} holds floats from {lowest:g} to {highest:g}; give floats from 0 to 1, or uint8 from 0 to 255"
        )
    return np.rint(np.clip(image.astype(np.float32), 0, 1) * 255).astype(np.uint8)


def check_sides(size: tuple[int, int], name: str) -> None:
    """Raises MediaError for a picture without pixels."""
    height, width = size
    if not (height and width):
        raise MediaError(f"{name} is {width} wide and {height} high; give one with at least one pixel")
