"""What a data set gives: clips, which are videos and pictures. Frames and masks are read when they are asked for.

Letters: H x W the picture.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError, MediaError
from masklet.formats.base import MAX_INDEX
from masklet.masks.rle import Rle, decode_rle, rle_area
from masklet.media.image_file import read_image
from masklet.media.source import FrameSource, open_video
from masklet.metrics.jf import Mask
from masklet.metrics.sequence import VOID

ClipKind = Literal["video", "image"]
Layout = Literal["index", "objects"]


class ObjectMasks(Mapping[int, Mask]):
    """The masks of one frame by object, bool (H, W), each made when it is asked for.

    size   (height, width)
    areas  pixels of each object
    void   bool (H, W): the pixels of which nobody knows what they are; None if all are known
    make   makes the mask of an object that has an area

    An object that is out of view may be missing, or have an empty mask.
    """

    def __init__(
        self, size: tuple[int, int], areas: dict[int, int], void: Mask | None, make: Callable[[int], Mask]
    ) -> None:
        self.size, self.void, self._areas, self._make = size, void, areas, make

    def areas(self) -> dict[int, int]:
        """Pixels of each object that has any."""
        return {number: area for number, area in self._areas.items() if area}

    def __getitem__(self, number: int) -> Mask:
        if number not in self._areas:
            raise KeyError(number)
        return self._make(number)

    def __iter__(self) -> Iterator[int]:
        return iter(self._areas)

    def __len__(self) -> int:
        return len(self._areas)


class IndexMasks(ObjectMasks):
    """Masks of an index map, uint8 (H, W): 0 is background, 255 void, all else an object."""

    def __init__(self, labels: NDArray[np.uint8]) -> None:
        self.labels = labels
        counts, (height, width) = np.bincount(labels.ravel(), minlength=256), labels.shape
        areas = {number: int(counts[number]) for number in range(1, MAX_INDEX + 1) if counts[number]}
        void = labels == VOID if counts[VOID] else None
        super().__init__((height, width), areas, void, lambda number: labels == number)


class RleMasks(ObjectMasks):
    """Masks as run lengths, which may overlap; empty ones are left out.

    rles  by object
    size  (height, width)
    void  run lengths of regions of which nobody knows what they are, such as COCO's crowds
    """

    def __init__(self, rles: Mapping[int, Rle], size: tuple[int, int], void: Sequence[Rle] = ()) -> None:
        areas = {number: area for number, rle in rles.items() if (area := rle_area(rle))}
        unknown = np.any([decode_rle(rle) for rle in void], axis=0) if void else None
        super().__init__(size, areas, unknown, lambda number: decode_rle(rles[number]))


class PlainMasks(ObjectMasks):
    """Masks at hand, at least one; they may be empty, and may overlap."""

    def __init__(self, masks: Mapping[int, Mask], void: Mask | None = None) -> None:
        height, width = next(iter(masks.values())).shape
        areas = {number: int(np.count_nonzero(mask)) for number, mask in masks.items()}
        super().__init__((height, width), areas, void, masks.__getitem__)


Annotation = Callable[[], ObjectMasks]
"""Reads the masks of a frame. Raises FormatError if they are missing or damaged. To be sent to other processes, it is a
function of a module, or `functools.partial` of one."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """One picture, uint8 (H, W, 3) RGB, and its masks."""

    image: NDArray[np.uint8]
    masks: ObjectMasks


@dataclass(frozen=True, eq=False)
class Clip:
    """A video of a data set, or a picture, which is a video of one frame."""

    name: str  # unique in the data set; with slashes where the data set has folders
    # a video file, or the pictures in order, as files or uint8 (H, W, 3)
    video: Path | tuple[Path, ...] | tuple[NDArray[np.uint8], ...]
    annotations: Mapping[int, Annotation]  # frame -> what reads its masks; empty for pictures that nobody annotated
    kind: ClipKind = "video"  # a video or a picture
    source: str = ""  # the part of the data set that it is from; training weighs these against each other
    licence: str | None = None  # such as "open"; None if unknown
    # object -> the frame in which trackers are prompted with it, if the data set has it
    enters: Mapping[int, int] = field(default_factory=dict)
    # object -> the group that it is scored in, such as "seen"; empty where the data set has none
    groups: Mapping[int, str] = field(default_factory=dict)

    @cached_property
    def annotated(self) -> tuple[int, ...]:
        """The annotated frames, in order."""
        return tuple(sorted(self.annotations))

    @cached_property
    def entering(self) -> Mapping[int, int]:
        """Object -> the frame in which it enters: from the data set, or the first in which it has a pixel, for
        which all masks are read."""
        if self.enters:
            return self.enters
        found: dict[int, int] = {}
        for frame in self.annotated:
            for number in self.masks(frame).areas():
                found.setdefault(number, frame)
        return found

    def masks(self, frame: int, size: tuple[int, ...] | None = None) -> ObjectMasks:
        """The masks of an annotated frame. Raises FormatError if they are missing or damaged, or are not of the
        picture's (height, width), if that is given."""
        masks = self.annotations[frame]()
        if size is not None and masks.size != size:
            place = self.video[frame] if isinstance(self.video, tuple) else self.video
            (height, width), name = masks.size, place if isinstance(place, Path) else self.name
            raise FormatError(
                f"the masks of {name}, frame {frame}, are {width} x {height} pixels, but the picture is "
                f"{size[1]} x {size[0]}; give masks of the picture's size"
            )
        return masks

    def open(self) -> FrameSource:
        """The frames. Raises MediaError if they cannot be read."""
        return open_video(self.video)

    def stem(self, frame: int) -> str:
        """The name of a frame in the data set's own files, without its ending."""
        if isinstance(self.video, tuple) and isinstance(picture := self.video[frame], Path):
            return picture.stem
        return f"{frame:05d}"

    def images(self, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
        """The pictures of some frames, uint8 (H, W, 3). Raises MediaError if they cannot be read."""
        if isinstance(self.video, tuple):
            pictures = [self.video[frame] for frame in frames]
            return [read_image(picture) if isinstance(picture, Path) else picture for picture in pictures]
        with open_video(self.video) as source:
            span = source.frames(min(frames), max(frames) + 1)
            found = {frame.index: frame.image for frame in span if frame.index in frames}
        if missing := [frame for frame in frames if frame not in found]:
            raise MediaError(f"{self.video.name} has masks for frame {missing[0]}, but no such frame; is it cut short?")
        return [found[frame] for frame in frames]

    def read(self, frames: Sequence[int]) -> list[Labelled]:
        """Some annotated frames. Raises FormatError if masks are of another size than their picture, and MediaError or
        FormatError for files that cannot be read."""
        images = zip(self.images(frames), frames, strict=True)
        return [Labelled(image, self.masks(frame, image.shape[:2])) for image, frame in images]


@dataclass(frozen=True)
class Dataset:
    """The clips of one split."""

    name: str  # of the data set
    split: str  # of it
    clips: tuple[Clip, ...]  # in the order of the data set
    # how masks are handed in: an index PNG for each frame, or a folder of PNGs for each object
    layout: Layout = "index"
    root: Path | None = None  # where it lies, if it was opened by name
