"""What a writer is given, what a reader gives, and what both know of the video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import FormatError

ObjectId = int | str
"""The user's name for an object."""

MOST_NUMBER = 254
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


class FrameLike(Protocol):
    """All objects in one frame; a tracker's FrameResult is such a one.

    frame    number of the frame, from 0
    time     seconds since the first frame
    size     (height, width)
    image    uint8 (H, W, 3) RGB; None where the picture is not at hand
    objects  by the user's names
    indices  the number of each object in index maps, from 1
    """

    @property
    def frame(self) -> int: ...
    @property
    def time(self) -> float: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def image(self) -> NDArray[np.uint8] | None: ...
    @property
    def objects(self) -> Mapping[ObjectId, ObjectLike]: ...
    @property
    def indices(self) -> Mapping[ObjectId, int]: ...


@runtime_checkable
class Decided(Protocol):
    """A frame that knows whose each pixel is: `numbers` is int32 (H, W), 0 where there is no object."""

    @property
    def numbers(self) -> NDArray[np.int32]: ...


@dataclass(frozen=True, eq=False)
class MaskOnly:
    """An object of which nothing but the mask and the scores are left; its logits are made from the mask."""

    mask: NDArray[np.bool_]
    iou: float = 1.0
    presence: float = 1.0

    def full_logits(self) -> NDArray[np.float32]:
        """float32 (H, W): twice the distance to the mask's edge in pixels, positive inside, at most 32."""
        return distance_logits(self.mask)


@dataclass(frozen=True, eq=False)
class PlainFrame:
    """All objects in one frame, as a file gives them; `dataclasses.replace(frame, image=...)` adds the picture."""

    frame: int
    time: float
    size: tuple[int, int]
    objects: Mapping[ObjectId, ObjectLike]
    indices: Mapping[ObjectId, int]
    image: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class FrameMasks:
    """What every format that holds masks gives of one frame: bool (H, W) by object."""

    frame: int
    masks: Mapping[ObjectId, NDArray[np.bool_]]


@dataclass(frozen=True)
class Fingerprint:
    """By what a video is known again.

    size         (height, width)
    frame_count  number of pictures that are in memory; None for a file, whose count may become known while it is read
    digest       a hash that the caller makes, of some frames or of the file's head and tail
    """

    size: tuple[int, int]
    frame_count: int | None
    digest: str


@dataclass(frozen=True)
class Facts:
    """What a writer is told of the video and of the wish; each format takes what it needs.

    size         (height, width) of every frame
    rate         frames a second; None: films keep the frames' own times
    steady       False if frames don't come evenly at that rate: films keep their own times too
    frame_count  number of frames of the video, or None where nothing says
    video        the video's name or path
    audio_from   a file whose sound films keep, shifted to their first frame
    background   what takes the background's place: "blur", a colour such as "#00ff00" or "white", or a picture's path
    model        the name of the model
    fingerprint  by what the video is known again
    events       the log of prompts, plain JSON
    """

    size: tuple[int, int]
    rate: float | Fraction | None = None
    frame_count: int | None = None
    video: str = ""
    audio_from: Path | None = None
    background: str | Path = "blur"
    model: str = ""
    fingerprint: Fingerprint | None = None
    events: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    steady: bool = True

    @property
    def film_rate(self) -> float | Fraction | None:
        """Frames a second of a film; None if it keeps the frames' own times."""
        return self.rate if self.steady else None


def comes_evenly(rate: float | None, frames: ArrayLike, times: ArrayLike) -> bool:
    """Whether frames come at a rate: each within half a frame of its place, counted from the first of them.

    frames  their numbers
    times   in seconds
    """
    numbers, seconds = np.asarray(frames), np.asarray(times)
    if not rate or not len(numbers):
        return True
    off = (seconds - seconds[0]) * rate - (numbers - numbers[0])
    return bool(np.abs(off).max() <= 0.5)


def index_map(result: FrameLike) -> NDArray[np.uint8]:
    """uint8 (H, W): the object's number at each pixel, 0 where there is none; where masks overlap, the surer one.

    Raises FormatError if a number does not fit.
    """
    check_numbers(result, most=MOST_NUMBER, instead="objects, coco or project")
    return surest(result).astype(np.uint8)


def surest(result: FrameLike) -> NDArray[np.int32]:
    """int32 (H, W): the number of the object with the highest logit at each pixel, 0 where none is positive.

    A frame that has decided this for all that ask, as a tracker's, is taken by its word.
    """
    if isinstance(result, Decided):
        return result.numbers
    numbers = np.zeros(result.size, np.int32)
    best = np.zeros(result.size, np.float32)
    for name, item in result.objects.items():
        logits = item.full_logits()
        wins = logits > best
        numbers[wins], best[wins] = result.indices[name], logits[wins]
    return numbers


def check_numbers(result: FrameLike, *, most: int, instead: str) -> None:
    """Raises FormatError, naming other formats, if an object's number is over `most`."""
    highest = max((result.indices[name] for name in result.objects), default=0)
    if highest > most:
        raise FormatError(
            f"object number {highest} in frame {result.frame}: this format holds the numbers 1 to {most}; "
            f"write {instead} instead"
        )


def distance_logits(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 (H, W): twice the signed distance to the edge of a mask, in pixels: 1 just inside, -1 just outside."""
    if mask.all() or not mask.any():
        return np.where(mask, np.float32(32), np.float32(-32))
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    signed = np.where(mask, inside - 0.5, 0.5 - outside)
    return np.clip(2 * signed, -32, 32).astype(np.float32)
