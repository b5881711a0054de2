"""The interface of a video: a size, perhaps a rate and a length, and frames by number; pictures that are in memory
already, or that a program makes one after another; and frames made ahead."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.footage import Footage
from masklet.geometry import Geometry, Ground

T = TypeVar("T")

RANGE_TOLERANCE = 1e-3
"""A float picture may leave 0..1 by this much, as interpolation leaves it."""

EXHAUSTED = object()
"""What comes after the last array."""

THREAD = "masklet-read-ahead"
"""How names of the threads that read ahead begin."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    index  counts from 0
    time   seconds since the first frame
    image  uint8 (H, W, 3), RGB, as it is shown: rotation is applied
    """

    index: int
    time: float
    image: NDArray[np.uint8]


class FrameSource:
    """Frames by their number, and in the order of time from any of them on.

    A source holds no more than a few frames in memory, however long the video, and is a context manager
    that closes itself. Readers inherit from this class and write `_frames`; `read` where they can do better. What they
    leave out of the following is as if nothing says it, but for the size.

    name               what errors call it
    size               (height, width) of every frame, as shown
    rate               frames a second, or None where nothing says
    frame_count        number of frames, or None where nothing says
    frame_count_exact  True if the frames were counted; False if `frame_count` is what a header promises
    ended_early        after an iteration: a sentence with the last frame's number if the video broke off, else None
    seekable           True if any frame can be read at any time; False if frames come once, as those of a camera
    geometry           where the voxels lie, if the frames are slices of a volume
    ground             where the pixels lie on the ground, if the frames are pictures of one place
    dates              when each frame was taken; empty where nothing says
    names              the file names of the frames; empty where they are no files
    footage            what films keep of the source; None if it is nothing but pictures of 8 bits
    """

    name: str = "the video"
    size: tuple[int, int]
    rate: float | None = None
    frame_count: int | None = None
    frame_count_exact: bool = False
    ended_early: str | None = None
    seekable: bool = True
    geometry: Geometry | None = None
    ground: Ground | None = None
    dates: Sequence[datetime] = ()
    names: Sequence[str] = ()
    footage: Footage | None = None
    _closed: bool = False

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """The frames from `start` to before `stop`, or to the end. None if the video ends before `start`.

        Iterations of a seekable source do not disturb each other. Raises MediaError for negative numbers,
        if a frame cannot be read, and after the source was closed.
        """
        for end, frame in (("start", start), ("stop", stop)):
            if frame is not None and frame < 0:
                raise MediaError(f"{end} is {frame}; frames are counted from 0")
        self._check_open()
        return self._frames(start, stop)

    def _frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        raise NotImplementedError

    def _check_open(self) -> None:
        if self._closed:
            raise MediaError(f"{self.name} was closed; open it again to read its frames")

    def read(self, frame: int) -> Frame:
        """One frame. Raises MediaError if the video has no such frame, or the source is not seekable."""
        check_frame(frame, self.frame_count if self.frame_count_exact else None)
        for found in self.frames(frame, frame + 1):
            return found
        raise no_such_frame(frame, self.frame_count)

    def __iter__(self) -> Iterator[Frame]:
        """All frames, from the first one on."""
        return self.frames()

    @property
    def timestamps(self) -> NDArray[np.float64] | None:
        """Seconds since the first frame, (T,), for all frames; None if that takes reading them through."""
        if self.frame_count is None or not self.frame_count_exact:
            return None
        return np.arange(self.frame_count) / (self.rate or 1.0)

    def close(self) -> None:
        """Give back what the source holds. Iterations that are under way end at their next frame."""
        return None

    def __enter__(self: T) -> T:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ListedFrames(FrameSource):
    """Frames of which each lies apart and is read when it is asked for. Readers inherit from this class, call its
    `__init__` last, and write `_image` and `_name`. Without a rate, which whoever
    knows it may set, the frames' times count one second each.

    Raises MediaError, on the way, for a frame of another size than the first, unless `own_sizes`.
    """

    frame_count: int
    frame_count_exact = True
    own_sizes = False
    """Whether frames may be of other sizes than the first, as pictures are that were annotated one by one."""

    def __init__(self, count: int, rate: float | None) -> None:
        self.frame_count, self.rate = count, rate
        height, width, _ = self._image(0).shape
        self.size = (height, width)

    def __len__(self) -> int:
        return self.frame_count

    def read(self, frame: int) -> Frame:
        self._check_open()
        check_frame(frame, len(self))
        return self._frame(frame, self._image(frame))

    def _frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        return map(self.read, range(len(self))[start:stop])

    def _frame(self, frame: int, image: NDArray[np.uint8]) -> Frame:
        times = self.timestamps
        assert times is not None, "frames of which each lies apart are counted"
        if not self.own_sizes:
            check_frame_size(image, self.size, self._name(frame), self._name(0))
        return Frame(frame, float(times[frame]), image)

    def _image(self, frame: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3), RGB."""
        raise NotImplementedError

    def _name(self, frame: int) -> str:
        """What errors call it."""
        raise NotImplementedError


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
            image = check_frame_size(rgb_array(np.asarray(array), name), self.size, name, "frame 0")
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


def check_frame_size(image: NDArray[np.uint8], size: tuple[int, int], name: str, first: str) -> NDArray[np.uint8]:
    """The image of a frame. Raises MediaError, which calls it `name`, unless it has the size of the first frame."""
    if image.shape[:2] != size:
        raise MediaError(
            f"{name} is {image.shape[1]} x {image.shape[0]} pixels, but {first} is {size[1]} x {size[0]}; "
            "give frames of one size"
        )
    return image


def check_frame(frame: int, frame_count: int | None) -> None:
    """Raise MediaError if a frame's number is negative, or past the end where the end is known."""
    if frame < 0:
        raise MediaError(f"frame is {frame}; frames are counted from 0")
    if frame_count is not None and frame >= frame_count:
        raise no_such_frame(frame, frame_count)


def no_such_frame(frame: int, frame_count: int | None, ended_early: str | None = None) -> MediaError:
    """The error for a frame past the end, with what is known of the end."""
    count = "fewer" if frame_count is None else f"{frame_count}"
    why = f"; {ended_early}" if ended_early else ""
    plural = "frame" if frame_count == 1 else "frames"
    return MediaError(f"there is no frame {frame}; the video has {count} {plural}, counted from 0{why}")


def read_ahead(items: Iterable[T], depth: int = 3) -> Iterator[T]:
    """The same items in the same order, up to `depth` of them made before they are asked for.

        for frame in read_ahead(source.frames(start)):
            ...

    The thread begins with the first item that is asked for. What the items' maker raises is raised here, after
    the items that came before it. The thread has ended, and the iterator of `items` is closed, when this iterator
    is exhausted, closed or let go; an item that is being made is waited for.
    """
    iterator, end = iter(items), object()
    pool = ThreadPoolExecutor(1, THREAD)
    try:
        coming = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, iterator, end))
            yield cast("T", item)
    finally:
        pool.shutdown(cancel_futures=True)
        if (close := getattr(iterator, "close", None)) is not None:  # generators have it, other iterators need not
            close()
