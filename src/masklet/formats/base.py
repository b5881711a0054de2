"""What a writer is given, what a reader gives, and what both know of the picture or video."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from masklet.errors import FormatError
from masklet.footage import Footage
from masklet.formats.description import Description, title_of
from masklet.geometry import Geometry, Ground
from masklet.masks.draw import draw_overlay
from masklet.masks.finish import DEFAULT_FINISH, Finish
from masklet.masks.rle import Rle, decode_rle, encode_rle, rle_area
from masklet.masks.shape import signed_distance
from masklet.prompts import ObjectId as ObjectId

MAX_INDEX = 254
"""The highest object number of index maps of 8 bits: 0 is the background, 255 stands for "unknown"."""


class ObjectLike(Protocol):
    """One object in one frame; a tracker's ObjectResult is such a one.

    mask      bool (H, W)
    iou       predicted intersection over union of the mask, 0..1
    presence  probability that the object is in the frame, 0..1
    """

    @property
    def mask(self) -> NDArray[np.bool_]: ...
    @property
    def iou(self) -> float: ...
    @property
    def presence(self) -> float: ...

    def full_logits(self) -> NDArray[np.float32]:
        """float32 (H, W), positive inside the mask"""
        ...


@dataclass(frozen=True)
class RleMask:
    """An object of which the mask and the scores are kept; the mask and logits are made when they are asked for."""

    rle: Rle  # the mask
    iou: float = 1.0  # predicted intersection over union of the mask, 0..1
    presence: float = 1.0  # probability that the object is in the frame, 0..1
    # pixels of the mask that other objects have wherever masks may not overlap; None if there are none
    lost: Rle | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool (H, W). Raises FormatError if the run lengths are damaged."""
        return decode_rle(self.rle)

    def full_logits(self) -> NDArray[np.float32]:
        """float32 (H, W): twice the distance to the mask's edge in pixels, positive inside, at most 32; least where
        another object has the pixel."""
        logits = distance_logits(self.mask)
        if self.lost is not None:
            logits[decode_rle(self.lost) & (logits > 0)] = 2.0**-10  # inside, and below every other logit
        return logits


def mask_only(mask: NDArray[np.bool_], iou: float = 1.0, presence: float = 1.0) -> RleMask:
    """An object of which the mask, bool (H, W), is known."""
    return RleMask(encode_rle(mask), iou, presence)


def rle_of(item: ObjectLike) -> Rle:
    return item.rle if isinstance(item, RleMask) else encode_rle(item.mask)


@dataclass(frozen=True, eq=False)
class FrameLike:
    """All objects in one frame, as writers take them; a tracker's FrameResult is such a one. A picture is one frame."""

    frame: int  # number of the frame, from 0
    time: float  # seconds since the first frame
    size: tuple[int, int]  # (height, width)
    objects: Mapping[ObjectId, ObjectLike]  # by the user's names
    indices: Mapping[ObjectId, int]  # the number of each object in index maps, from 1
    image: NDArray[np.uint8] | None = None  # (H, W, 3) RGB; None where the picture is not at hand
    # what is said of objects, of those of which anything is
    descriptions: Mapping[ObjectId, Description] = field(default_factory=dict)

    def index_map(self) -> NDArray[Any]:
        """Whole numbers (H, W): the object's number at each pixel, 0 where there is none; where masks overlap the surer
        one."""
        return argmax_object_map(self)

    def overlay(self) -> Image.Image:
        """The picture with every mask tinted and named. Raises FormatError if it is not at hand."""
        masks = [(self.indices[name], item.mask) for name, item in self.objects.items()]
        labels = {self.indices[name]: title_of(name, self.descriptions.get(name)) for name in self.objects}
        return Image.fromarray(draw_overlay(picture_of(self), masks, labels=labels, colours=colours_of(self)))


class PlainFrame(FrameLike):
    """A frame as a file gives it; `dataclasses.replace(frame, image=...)` adds the picture."""

    @property
    def masks(self) -> dict[ObjectId, NDArray[np.bool_]]:
        """bool (H, W) by object."""
        return {name: item.mask for name, item in self.objects.items()}


def read_frame(
    frame: int,
    masks: Mapping[Any, Rle | RleMask],
    size: tuple[int, int],
    indices: Mapping[Any, int],
    descriptions: Mapping[ObjectId, Description] | None = None,
) -> PlainFrame:
    """A frame from a file without times, of which each frame counts one second.

    Raises FormatError if run lengths do not fill the size.
    """
    objects = {name: mask if isinstance(mask, RleMask) else RleMask(mask) for name, mask in masks.items()}
    for item in objects.values():
        rle_area(item.rle)
    return PlainFrame(frame, float(frame), size, objects, indices, descriptions=descriptions or {})


def colours_of(result: FrameLike) -> dict[int, tuple[int, int, int]]:
    """The colours that were given to objects, by number."""
    return {result.indices[name]: said.rgb for name, said in result.descriptions.items() if said.rgb is not None}


def picture_of(result: FrameLike) -> NDArray[np.uint8]:
    """The frame's picture. Raises FormatError if it is not at hand."""
    if result.image is None:
        raise FormatError(f"frame {result.frame} comes without its picture, which this format shows; give the video")
    return result.image


@dataclass(frozen=True)
class Fingerprint:
    """Identifies a video."""

    size: tuple[int, int]  # (height, width)
    # number of pictures that are in memory; None for a file, whose count may become known while it is read
    frame_count: int | None
    digest: str  # a hash that the caller makes, of some frames or of the file's head and tail


@dataclass(frozen=True)
class Facts:
    """The picture or video that a writer gets, and the settings of the file; each format takes those it needs."""

    size: tuple[int, int]  # (height, width) of every frame
    rate: float | Fraction | None = None  # frames a second; None: films keep the frames' own times
    frame_count: int | None = None  # number of frames of the video, or None where nothing says
    video: str = ""  # the video's name or path
    audio_from: Path | None = None  # a file whose sound films keep, shifted to their first frame
    footage: Footage | None = None  # what films and cut-outs keep of the video's file; None for pictures of 8 bits
    finish: Finish = DEFAULT_FINISH  # how objects are cut out
    model: str = ""  # the name of the model
    fingerprint: Fingerprint | None = None  # by what the video is known again
    events: Sequence[Mapping[str, Any]] = field(default_factory=tuple)  # the log of prompts, plain JSON
    steady: bool = True  # False if frames don't come evenly at that rate: films keep their own times too
    names: Sequence[str] = ()  # the file names of the frames' pictures, by frame; empty where frames are no files
    own_sizes: bool = False  # whether each frame is a picture of its own size
    geometry: Geometry | None = None  # where the voxels lie, if the frames are slices of a volume
    ground: Ground | None = None  # where the picture, or every frame, lies on the ground, if anything says
    dates: Sequence[datetime] = ()  # when each frame was taken; empty where nothing says
    tolerance: float = 0.0  # of polygons on maps: corners that lie no farther from the line, in pixels, are left out

    def picture_name(self, frame: int) -> str:
        """The file name of a frame's picture; 00012.jpg where it has none."""
        return self.names[frame] if frame < len(self.names) else f"{frame:05d}.jpg"

    def stem(self, frame: int) -> str:
        """How files of a frame are named, without an ending: as its picture is, else 00012."""
        return self._stems[frame] if frame < len(self.names) else f"{frame:05d}"

    @cached_property
    def _stems(self) -> list[str]:
        for part in (lambda name: Path(name).stem, str):  # whole names for a.jpg beside a.png
            # Names may be of anybody: what leads out of a folder, or ends a name, is escaped.
            stems = [escaped(part(name), r"[/\\\0]") for name in self.names]
            if len({*stems} - {""}) == sum(map(bool, self.names)):
                return stems
        return [f"{frame:05d}" for frame in range(len(self.names))]


def escaped(text: str, unsafe: str) -> str:
    """The text with what a pattern finds written as in web addresses, `a/b` as `a%2Fb`."""
    return re.sub(unsafe, lambda found: f"%{ord(found[0]):02X}", text)


Sink = Callable[[FrameLike], None]
Opener = Callable[[Path, Facts], AbstractContextManager[Sink]]
MaskReader = Callable[[Path], Iterator[PlainFrame]]


@dataclass(frozen=True)
class Format:
    """One entry of the registry. A module of this package, or of another, holds its formats as values of this class."""

    name: str  # what people type
    help: str  # one line
    # the writer: a context manager that opens a path and gives a function for one frame; code after its `yield` runs
    # only if all went well
    open: Opener
    # gives the masks of each frame, in the order of frames; None if the format is not read
    read: MaskReader | None = None
    # the ending of a video's file, such as ".mp4"; empty if it is a folder, None if it holds no videos
    video: str | None = None
    picture: str | None = None  # the ending of the file of one picture; None if the format holds no single pictures
    shows_pictures: bool = False  # whether frames must come with their pictures
    finishes: bool = False  # whether it cuts objects out, as `Facts.finish` says
    in_space: bool = False  # whether the file says where the voxels of a volume, or the pixels of a map, lie
    holds_many_pictures: bool = False  # whether one file holds any number of pictures of any sizes, as a data set
    # gives the file names of the frames' pictures, as `Facts.names` has them
    names: Callable[[Path], Sequence[str]] | None = None
    # the ending of what is read but not written, "" for a folder; None for all other formats
    only_read: str | None = None

    @property
    def own_sizes(self) -> bool:
        """Whether each frame may be of a size of its own: pictures in one file, or a file for each frame."""
        return self.holds_many_pictures or (self.video == "" and not self.in_space)


def comes_evenly(rate: float | None, frames: ArrayLike, times: ArrayLike) -> bool:
    """Whether frames of these numbers come at a rate, by their times in seconds: each within half a frame of its place,
    counted from the first of them."""
    numbers, seconds = np.asarray(frames), np.asarray(times)
    if not rate or not len(numbers):
        return True
    off = (seconds - seconds[0]) * rate - (numbers - numbers[0])
    return bool(np.abs(off).max() <= 0.5)


def object_numbers(names: Iterable[ObjectId]) -> dict[ObjectId, int]:
    """Numbers of objects in index maps, in the order of adding."""
    numbers: dict[ObjectId, int] = {}
    taken: set[int] = set()
    for name in names:
        numbers[name] = free_number(name, taken)
        taken.add(numbers[name])
    return numbers


def free_number(name: ObjectId, taken: Set[int]) -> int:
    """The number of a new object in index maps: its name, if that is a whole number from 1 to 254 and free, or the
    lowest that is free. 255 stands for "unknown" in the field's index maps."""
    if isinstance(name, int) and 1 <= name <= MAX_INDEX and name not in taken:
        return name
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


def index_map(result: FrameLike, *, most: int = MAX_INDEX, instead: str = "objects, coco or project") -> NDArray[Any]:
    """(H, W): the object's number at each pixel, 0 where there is none; uint8, or uint16 if `most` is over 255.

    Raises FormatError, naming other formats, if an object's number is over `most`.
    """
    highest = max((result.indices[name] for name in result.objects), default=0)
    if highest > most:
        raise FormatError(
            f"object number {highest} in frame {result.frame}: this format holds the numbers 1 to {most}; "
            f"write {instead} instead"
        )
    return result.index_map().astype(np.uint8 if most <= 255 else np.uint16)


def argmax_object_map(result: FrameLike) -> NDArray[np.int32]:
    """int32 (H, W): the number of the object with the highest logit at each pixel, 0 where none is positive."""
    numbers = np.zeros(result.size, np.int32)
    best = np.zeros(result.size, np.float32)
    for name, item in result.objects.items():
        logits = item.full_logits()
        wins = logits > best
        numbers[wins], best[wins] = result.indices[name], logits[wins]
    return numbers


def distance_logits(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 (H, W): twice the signed distance to the edge of a mask, in pixels: 1 just inside, -1 just outside."""
    if mask.all() or not mask.any():
        return np.where(mask, np.float32(32), np.float32(-32))
    return np.clip(2 * signed_distance(mask), -32, 32)
