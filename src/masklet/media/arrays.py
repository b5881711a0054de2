"""Pictures that are in memory already, or that a program makes one after another."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.frames import Frame, FrameSource, ListedFrames, check_frame, check_range, check_size


class ArrayFrames(ListedFrames):
    """A list of arrays (H, W, 3), or one array (T, H, W, 3): uint8, RGB.

    rate  frames a second, where the user knows; without it the frames' times count one second each

    Grey pictures, (H, W) or (H, W, 1), become RGB; of RGBA the transparency is dropped. The list is read as it
    is asked for, so anything with a length and an index will do. Raises MediaError if it is empty, and, on the
    way, for an array that is no such picture, or of another size than the first.
    """

    def __init__(self, arrays: Sequence[Any] | NDArray[Any], *, rate: float | None = None) -> None:
        if isinstance(arrays, np.ndarray):
            _check_stack(arrays)
        if len(arrays) == 0:
            raise MediaError("the list of frames is empty; give one array or more")
        self._arrays = arrays
        super().__init__(len(arrays), rate)

    def _image(self, frame: int) -> NDArray[np.uint8]:
        return as_rgb(self._arrays[frame], frame)

    def _name(self, frame: int) -> str:
        return f"frame {frame}"


class IteratorFrames(FrameSource):
    """Arrays (H, W, 3) that come one after another, once: those of a generator, or of another program's reader.

    As ArrayFrames, but without length or random access: each frame is given out once, and the number of a frame
    says how many came before. The first array is taken when opened, to know the size.
    """

    seekable = False

    def __init__(self, arrays: Iterable[Any], *, rate: float | None = None) -> None:
        self._arrays = iter(arrays)
        try:
            self._ahead: NDArray[np.uint8] | None = as_rgb(next(self._arrays), 0).copy()
        except StopIteration:
            raise MediaError("the iterable of frames is empty; give one array or more") from None
        self._next = 0
        height, width, _ = self._ahead.shape
        self.size, self.rate = (height, width), rate

    def read(self, frame: int) -> Frame:
        check_frame(frame, None)
        raise MediaError("the frames of an iterable come once, in order; give a list to read them by number")

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """The frames that have not come yet. Raises MediaError if `start` was given out before."""
        check_range(start, stop)
        if start < self._next and start > 0:
            raise MediaError(f"frame {start} has been given out, and an iterable does not go back; give a list instead")
        return self._from(start, stop)

    def _from(self, start: int, stop: int | None) -> Iterator[Frame]:
        while stop is None or self._next < stop:
            if self._ahead is None:
                try:
                    array = next(self._arrays)
                except StopIteration:
                    self.frame_count, self.frame_count_exact = self._next, True
                    return
                image = as_rgb(array, self._next).copy()  # the maker may write its next picture into the same array
                check_size(image, self.size, f"frame {self._next}", "frame 0")
            else:
                image, self._ahead = self._ahead, None
            frame = Frame(self._next, self._next / (self.rate or 1.0), image)
            self._next += 1
            if frame.index >= start:
                yield frame


def as_rgb(array: Any, frame: int) -> NDArray[np.uint8]:
    """An array as uint8 (H, W, 3), RGB. Raises MediaError, which names the frame, if it is no picture."""
    image = np.asarray(array)
    if image.dtype != np.uint8:
        raise MediaError(f"frame {frame} is {image.dtype}; give uint8 values from 0 to 255")
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if 0 in image.shape or not (grey or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise MediaError(
            f"frame {frame} has the shape {image.shape}; give (H, W, 3) for RGB, (H, W, 4) with transparency, "
            "or (H, W) for grey"
        )
    if grey:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[..., :3])


def _check_stack(arrays: NDArray[Any]) -> None:
    if arrays.ndim == 3 and arrays.shape[2] in (3, 4):
        raise MediaError(
            f"an array of shape {arrays.shape} is a picture, not a video; give (T, H, W, 3), or a list of pictures"
        )
    if arrays.ndim not in (3, 4):
        raise MediaError(f"an array of shape {arrays.shape} is not a video; give (T, H, W, 3), or (T, H, W) for grey")
