"""The results of trackers: low-resolution logits are kept, a mask is made when it is asked for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.engines.arrays import to_numpy
from masklet.formats.base import PlainFrame, named_overlay
from masklet.formats.description import Description
from masklet.formats.project_file import ProjectFrame, project_frame
from masklet.media.source import Frame
from masklet.video.overlap import FinalMask, FramePixels
from masklet.video.review import DOUBTFUL_IOU, ReviewReason
from masklet.video.spans import END
from masklet.video.state import ObjectId, ObjectTrack, Tracks

State = Literal["visible", "uncertain", "absent"]


def state_of(presence: float, iou: float) -> State:
    """Whether an object is seen: absent by its presence, uncertain by its predicted IoU, both 0..1."""
    if presence <= 0.5:
        return "absent"
    return "visible" if iou >= DOUBTFUL_IOU else "uncertain"


@dataclass(frozen=True, eq=False)
class ObjectResult:
    """One object in one frame.

    Attributes:
        name: The user's name for it.
        pixels: The masks of all objects of the frame.
        iou: Predicted intersection over union of the mask, 0..1.
        presence: Probability that the object is in the frame, 0..1.
        needs_prompt: Why a person should look, or None.
        reach: First and last frame that the prompt on this frame can change when the object is followed again: up to
            the neighbouring frames for which a person answers. The last is None if that is the video's end. None
            altogether on frames that are not prompted or locked.
    """

    name: ObjectId
    pixels: FramePixels
    iou: float
    presence: float
    needs_prompt: ReviewReason | None = None
    reach: tuple[int, int | None] | None = None

    def __repr__(self) -> str:
        needs = f", needs a prompt: {self.needs_prompt}" if self.needs_prompt else ""
        return f"{type(self).__name__}({self.state}, iou {self.iou:.2f}, presence {self.presence:.2f}{needs})"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the frame."""
        return self.pixels.size

    @property
    def logits(self) -> NDArray[np.float32]:
        """(S/4, S/4) float32, positive inside; where only the mask is left, from the distance to its edge."""
        return self.pixels.small_logits(self.name)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool (H, W)"""
        return self.pixels.mask(self.name)

    @property
    def uncertainty(self) -> NDArray[np.float32]:
        """(H, W) in 0..1: 1 where the mask could as well end, 0 where the model is sure."""
        probability = 1 / (1 + np.exp(-np.clip(self.full_logits(), -32, 32)))
        return (1 - np.abs(2 * probability - 1)).astype(np.float32)

    @property
    def state(self) -> State:
        """Whether the object is seen: absent by its presence, uncertain by its predicted IoU."""
        return state_of(self.presence, self.iou)

    def full_logits(self) -> NDArray[np.float32]:
        """(H, W) float32: the logits stretched to the frame, bilinear; at most -10 where each pixel is given to one
        object and another one is surer. Of a mask that a person gave or locked, twice the distance to its edge."""
        return self.pixels.full_logits(self.name)


@dataclass(frozen=True, eq=False)
class FrameResult:
    """All objects in one frame.

    Attributes:
        frame: Number of the frame, from 0.
        time: Seconds since the first frame.
        image: uint8 (H, W, 3) RGB, the frame itself.
        objects: Results by the user's names, in the order in which the objects were added.
        indices: The number of each object in index maps and overlays, from 1.
        descriptions: What is said of the objects, of those of which anything is.
        scene_cut: Whether a scene cut lies between this frame and the one from which its objects were followed.
    """

    frame: int
    time: float
    image: NDArray[np.uint8]
    objects: Mapping[ObjectId, ObjectResult]
    indices: Mapping[ObjectId, int]
    scene_cut: bool = False
    descriptions: Mapping[ObjectId, Description] = field(default_factory=dict)

    def __repr__(self) -> str:
        height, width = self.size
        states = "".join(f", {name} {result.state}" for name, result in self.objects.items())
        return f"FrameResult(frame {self.frame} of {width} x {height} pixels{states})"

    @property
    def needs_prompt(self) -> dict[ObjectId, ReviewReason]:
        """The objects at which a person should look, and why."""
        return {name: result.needs_prompt for name, result in self.objects.items() if result.needs_prompt is not None}

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        height, width = self.image.shape[:2]
        return height, width

    @property
    def masks(self) -> NDArray[np.bool_]:
        """bool (N, H, W) in the order of `objects`; masks may overlap."""
        if not self.objects:
            return np.zeros((0, *self.size), np.bool_).view(CallableMasks)
        return np.stack([result.mask for result in self.objects.values()]).view(CallableMasks)

    @property
    def numbers(self) -> NDArray[np.int32]:
        """int32 (H, W): the object's number at each pixel, 0 where there is none; of masks that overlap, the surer."""
        pixels = next((result.pixels for result in self.objects.values()), None)
        if pixels is None:
            return np.zeros(self.size, np.int32)
        return np.array([*(self.indices[name] for name in pixels.names), 0], np.int32)[pixels.owners]

    def index_map(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """`numbers` as uint8 (H, W), or as uint16 if a number is over 255."""
        many = max(self.indices.values(), default=0) > 255
        return self.numbers.astype(np.uint16) if many else self.numbers.astype(np.uint8)

    def overlay(self) -> Image.Image:
        """The frame with every mask tinted and named."""
        return named_overlay(self)


def frame_result(picture: Frame, tracks: Tracks, non_overlapping: bool) -> FrameResult:
    """The result of a frame, with every object that is known there."""
    height, width = picture.image.shape[:2]
    objects = object_results(tracks, picture.index, (height, width), non_overlapping)
    cut = scene_cut(tracks, picture.index)
    return FrameResult(picture.index, picture.time, picture.image, objects, numbers(tracks), cut, descriptions(tracks))


def scene_cut(tracks: Tracks, frame: int) -> bool:
    """Whether a scene cut was noticed when an object was followed into the frame."""
    known = (track.stats(frame) for track in tracks.values())
    return any(stats.cut for stats in known if stats is not None)


def object_results(
    tracks: Tracks, frame: int, size: tuple[int, int], non_overlapping: bool
) -> dict[ObjectId, ObjectResult]:
    """The results of the objects that are known in a frame."""
    known = {name: found for name, track in tracks.items() if (found := track.known(frame)) is not None}
    logits = {name: to_numpy(found.logits) for name, found in known.items()}
    final = {name: found.exact_mask for name, found in known.items() if found.exact_mask is not None}
    side = max((len(own) for own in logits.values()), default=0)
    pixels = FramePixels(logits, final, size, side, apart=non_overlapping)
    doubts = {name: found.doubt for name, found in known.items() if found.doubt and not tracks[name].stands(frame)}
    return {
        name: ObjectResult(
            name,
            pixels,
            found.iou,
            probability(found.presence),
            ReviewReason(doubts[name]) if name in doubts else None,
            reach(tracks[name], frame),
        )
        for name, found in known.items()
    }


def reach(track: ObjectTrack, frame: int) -> tuple[int, int | None] | None:
    """First and last frame for which a prompt on a frame speaks; see `ObjectResult`."""
    if frame not in track.prompted:
        return None
    first, last = track.reach(frame)
    return first, None if last == END else last


def plain_frame(tracks: Tracks, frame: int, time: float, size: tuple[int, int], non_overlapping: bool) -> PlainFrame:
    """The result of a frame, without its picture."""
    objects = object_results(tracks, frame, size, non_overlapping)
    return PlainFrame(frame, time, size, objects, numbers(tracks), descriptions=descriptions(tracks))


class ShownMasks:
    """Masks of frames as states show them. What one save encoded, and what a file has, the next save has.

    Args:
        size: (height, width) of the pictures.
        non_overlapping: Whether each pixel is given to one object.
        time: When a frame comes, in seconds.
    """

    def __init__(self, size: tuple[int, int], non_overlapping: bool, time: Callable[[int], float]) -> None:
        self._size, self._non_overlapping, self._time = size, non_overlapping, time
        self._before: dict[tuple[object, ...], ProjectFrame] = {}
        self._now: dict[tuple[object, ...], ProjectFrame] = {}
        self._opened: tuple[Tracks, Mapping[int, ProjectFrame]] = ({}, {})

    def __call__(self, tracks: Tracks, frame: int) -> ProjectFrame:
        """Masks and scores of all objects in a frame."""
        made_of, (opened, frames) = self._made_of(tracks, frame), self._opened
        if frame in frames and made_of == self._made_of(opened, frame):
            return frames[frame]
        if made_of not in self._now:
            self._now[made_of] = self._before.get(made_of) or self._encoded(tracks, frame)
        return self._now[made_of]

    def final(self, tracks: Tracks, frame: int) -> dict[ObjectId, FinalMask]:
        """The masks of a frame, to stay as they are."""
        return {name: FinalMask.of(mask) for name, mask in self._encoded(tracks, frame).objects.items()}

    def remember(self, tracks: Tracks, frames: Mapping[int, ProjectFrame]) -> None:
        """A file has these masks of a state: they need not be encoded again."""
        self._opened = tracks, frames

    def forget_others(self) -> None:
        """A save is done: what it did not ask for is not kept."""
        self._before, self._now = self._now, {}

    def _encoded(self, tracks: Tracks, frame: int) -> ProjectFrame:
        return project_frame(plain_frame(tracks, frame, self._time(frame), self._size, self._non_overlapping))

    @staticmethod
    def _made_of(tracks: Tracks, frame: int) -> tuple[object, ...]:
        """What decides the masks of a frame."""
        return frame, *((name, track.is_absent(frame) or track.stats(frame)) for name, track in tracks.items())


class CallableMasks(np.ndarray[Any, np.dtype[np.bool_]]):
    """Masks that may still be called, as when they were a method."""

    def __call__(self) -> NDArray[np.bool_]:
        warnings.warn("FrameResult.masks is a property; leave the brackets away", DeprecationWarning, stacklevel=2)
        return np.asarray(self)


def probability(logit: float) -> float:
    """0..1"""
    return 1 / (1 + math.exp(-max(-32.0, min(32.0, logit))))


def numbers(tracks: Tracks) -> dict[ObjectId, int]:
    """The number of each object in index maps."""
    return {name: track.number for name, track in tracks.items()}


def descriptions(tracks: Tracks) -> dict[ObjectId, Description]:
    """What is said of the objects, of those of which anything is."""
    return {name: track.description for name, track in tracks.items() if track.description}
