"""What is learned from: a picture, or a video of which some frames are labelled. Files are read when asked for.

Letters: H x W the picture.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError, MediaError
from masklet.formats.base import MOST_NUMBER, ObjectId
from masklet.formats.davis import read_index_png
from masklet.masks.rle import Rle, decode_rle, rle_area
from masklet.media.image_file import read_image
from masklet.media.source import open_video

UNKNOWN = 255
"""The value of pixels of index maps of which nobody knows what they are."""


class Masks(Mapping[ObjectId, NDArray[np.bool_]]):
    """Masks of one picture by object, bool (H, W), each made when it is asked for."""

    @abstractmethod
    def areas(self) -> dict[ObjectId, int]:
        """Pixels of each object, without making its mask."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(height, width)"""

    @property
    @abstractmethod
    def unknown(self) -> NDArray[np.bool_] | None:
        """bool (H, W): of which nobody knows what is there; None if all is known."""


class IndexMasks(Masks):
    """Masks of an index map, uint8 (H, W): 0 background, 255 unknown, all else an object."""

    def __init__(self, labels: NDArray[np.uint8]) -> None:
        self.labels = labels
        self._areas = np.bincount(labels.ravel(), minlength=256)

    def areas(self) -> dict[ObjectId, int]:
        numbers = np.flatnonzero(self._areas[1 : MOST_NUMBER + 1]) + 1
        return {int(number): int(self._areas[number]) for number in numbers}

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.labels.shape
        return height, width

    @property
    def unknown(self) -> NDArray[np.bool_] | None:
        return self.labels == UNKNOWN if self._areas[UNKNOWN] else None

    def __getitem__(self, name: ObjectId) -> NDArray[np.bool_]:
        if not isinstance(name, int) or not self._areas[name]:
            raise KeyError(name)
        return self.labels == name

    def __iter__(self) -> Iterator[ObjectId]:
        return iter(self.areas())

    def __len__(self) -> int:
        return len(self.areas())


class RunLengths(Masks):
    """Masks as run lengths, which may overlap.

    rles     by object
    size     (height, width)
    unknown  run lengths of regions of which nobody knows what they are, such as COCO's crowds
    """

    def __init__(self, rles: Mapping[ObjectId, Rle], size: tuple[int, int], unknown: Sequence[Rle] = ()) -> None:
        self._rles, self._size, self._unknown = dict(rles), size, unknown

    def areas(self) -> dict[ObjectId, int]:
        found = {name: rle_area(rle) for name, rle in self._rles.items()}
        return {name: area for name, area in found.items() if area}

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def unknown(self) -> NDArray[np.bool_] | None:
        if not self._unknown:
            return None
        return np.any([decode_rle(rle) for rle in self._unknown], axis=0)

    def __getitem__(self, name: ObjectId) -> NDArray[np.bool_]:
        return decode_rle(self._rles[name])

    def __iter__(self) -> Iterator[ObjectId]:
        return iter(self._rles)

    def __len__(self) -> int:
        return len(self._rles)


@dataclass(frozen=True, eq=False)
class Labelled:
    """One picture, uint8 (H, W, 3) RGB, and its masks."""

    image: NDArray[np.uint8]
    masks: Masks


class Images(Protocol):
    """Where an item's pictures lie."""

    def read(self, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Pictures by the item's own count of labelled frames, uint8 (H, W, 3)."""


@dataclass(frozen=True)
class Item:
    """A picture (one frame) or a video, of which only the labelled frames count.

    Attributes:
        name: For messages.
        images: Its pictures.
        labels: For each labelled frame, in the order of time, what reads its masks.
    """

    name: str
    images: Images
    labels: Sequence[Callable[[], Masks]]

    @property
    def frames(self) -> int:
        """How many frames are labelled."""
        return len(self.labels)

    @property
    def is_labelled(self) -> bool:
        """Whether it has masks at all."""
        return self.labels[0] is not no_masks

    def read(self, frames: Sequence[int]) -> list[Labelled]:
        """Some of the labelled frames. Raises FormatError if a mask is of another size than its picture, and
        MediaError or FormatError for files that cannot be read."""
        pictures = self.images.read(frames)
        return [self._labelled(picture, frame) for picture, frame in zip(pictures, frames, strict=True)]

    def _labelled(self, picture: NDArray[np.uint8], frame: int) -> Labelled:
        masks = self.labels[frame]()
        if masks.size != picture.shape[:2]:
            height, width = masks.size
            raise FormatError(
                f"the masks of {self.name}, frame {frame}, are {width} x {height} pixels, but the picture is "
                f"{picture.shape[1]} x {picture.shape[0]}; give masks of the picture's size"
            )
        return Labelled(picture, masks)


@dataclass(frozen=True)
class Collection:
    """Items of one origin.

    Attributes:
        name: For messages.
        items: Pictures and videos.
        weight: How often they are drawn, beside other collections.
        licence: The only one that was taken; None if nobody asked for one.
    """

    name: str
    items: Sequence[Item]
    weight: float
    licence: str | None = None


@dataclass(frozen=True)
class PictureFiles:
    """One file for each labelled frame."""

    files: Sequence[Path]

    def read(self, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
        return [read_image(self.files[frame]) for frame in frames]


@dataclass(frozen=True)
class FilmFrames:
    """Frames of a video file or folder; `numbers` tells which frame of it each labelled frame is."""

    path: Path
    numbers: Sequence[int]

    def read(self, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
        wanted = [self.numbers[frame] for frame in frames]
        first, last = min(wanted), max(wanted)
        with open_video(self.path) as source:
            found = {frame.index: frame.image for frame in source.frames(first, last + 1) if frame.index in wanted}
        if missing := [number for number in wanted if number not in found]:
            raise MediaError(f"{self.path.name} has masks for frame {missing[0]}, but no such frame; is it cut short?")
        return [found[number] for number in wanted]


@dataclass(frozen=True)
class IndexPng:
    """Reads one index PNG."""

    path: Path

    def __call__(self) -> Masks:
        return IndexMasks(read_index_png(self.path))


def no_masks() -> Masks:
    """For pictures without labels; see `synthesis.regions`, which finds things to follow in them."""
    raise FormatError("the pictures have no masks; give others that have some")
