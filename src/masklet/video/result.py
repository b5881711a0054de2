"""The results of trackers: low-resolution logits are kept, a mask is made when it is asked for."""

import math
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import to_numpy
from masklet.formats.base import FrameLike, PlainFrame, RleMask, distance_logits
from masklet.formats.description import Description
from masklet.formats.project_file import ProjectFrame, project_frame
from masklet.masks.rle import decode_rle, resize_logits
from masklet.media.source import Frame
from masklet.video.review import DOUBTFUL_IOU, ReviewReason
from masklet.video.state import END, ObjectId, Tracks
from masklet.video.store import PACKED_LIMIT

ObjectState = Literal["visible", "uncertain", "absent"]

LOST_LOGIT = -10.0
"""Highest logit of a pixel that was given to another object, as published."""


def state_of(presence: float, iou: float) -> ObjectState:
    """Whether an object is seen: absent by its presence, uncertain by its predicted IoU, both 0..1."""
    if presence <= 0.5:
        return "absent"
    return "visible" if iou >= DOUBTFUL_IOU else "uncertain"


PACKED_ERROR = 0.02
"""More than the most by which logits of a file differ from what they were, see `store.pack`."""

FINAL_LOGIT = 1000.0
"""Added to the logits of a final mask: a pixel that a person gave to an object is not lost to a tracked one."""

LOST = 2.0**-10
"""Logit of a pixel of a final mask that was decided against it: inside the mask, and less sure than any other."""


@dataclass(eq=False)
class FramePixels:
    """The masks of one frame, at the size of the picture. Each is made once, and kept as bits."""

    logits: Mapping[ObjectId, NDArray[np.float32]]  # (S/4, S/4) each, positive inside; not needed of final masks
    final: Mapping[ObjectId, RleMask]  # of these the logits say nothing
    size: tuple[int, int]  # (height, width) of the picture
    side: int  # S/4
    apart: bool = False  # whether each pixel is given to one object
    # final masks that a file keeps of what was tracked: no person answers for them, they are as sure as their logits
    tracked: Collection[ObjectId] = ()
    _bits: dict[ObjectId, NDArray[np.uint8]] = field(init=False, default_factory=dict, repr=False)

    @cached_property
    def names(self) -> list[ObjectId]:
        """The objects, in an order in which equally sure ones take precedence."""
        return [*dict.fromkeys((*self.logits, *self.final))]

    def of(self, names: Collection[ObjectId]) -> "FramePixels":
        """The masks of some of the objects; what others have of their pixels goes to them."""
        if all(name in names for name in self.names):
            return self
        logits = {name: own for name, own in self.logits.items() if name in names}
        final = {name: mask for name, mask in self.final.items() if name in names}
        return FramePixels(logits, final, self.size, self.side, self.apart, self.tracked)

    def mask(self, name: ObjectId) -> NDArray[np.bool_]:
        """bool (H, W) of an object; where `apart`, without the pixels of surer ones."""
        if name in self.final and not (self.apart and name in self.tracked):
            return self.final[name].mask
        if self.apart:
            return self._has(name) & (self.owners >= 0)
        if name not in self._bits:
            self._bits[name] = np.packbits(self.full_logits(name) > 0)
        height, width = self.size
        return np.unpackbits(self._bits[name], count=height * width).reshape(self.size).view(np.bool_)

    def full_logits(self, name: ObjectId) -> NDArray[np.float32]:
        """(H, W) float32, positive inside: stretched, bilinear. Where `apart`, at most -10 where another object is
        surer. Of a final mask twice the distance to its edge."""
        if name in self.final:
            return distance_logits(self.mask(name))
        own = resize_logits(self.logits[name], self.size)
        return np.where(self._has(name), own, np.minimum(own, LOST_LOGIT)) if self.apart else own

    def small_logits(self, name: ObjectId) -> NDArray[np.float32]:
        """(S/4, S/4) float32; of a final mask without logits from the distance to its edge."""
        if name in self.logits:
            return self.logits[name]
        small = cv2.resize(self.full_logits(name), (self.side, self.side), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32)

    @property
    def owners(self) -> NDArray[np.int16]:
        """int16 (H, W): the place of the object to which a pixel goes, in `names`; -1 where there is no mask."""
        return np.maximum(self._surest, np.int16(-1))

    def _has(self, name: ObjectId) -> NDArray[np.bool_]:
        """Pixels where no other object is surer, inside of masks and outside."""
        place = self.names.index(name)
        return (self._surest == place) | (self._surest == ~place)

    def _sure(self, name: ObjectId) -> NDArray[np.float32]:
        """(H, W) float32: the logits of a mask that a file keeps, never below those from which it was made."""
        own = resize_logits(self.logits[name], self.size)
        return np.where(own < PACKED_LIMIT - PACKED_ERROR, np.maximum(own, 0) + PACKED_ERROR, np.float32(FINAL_LOGIT))

    @cached_property
    def _surest(self) -> NDArray[np.int16]:
        """The place of the object with the highest logit; ~place where that is not positive. Of equals the first."""
        surest = np.zeros(self.size, np.int16)
        best = np.full(self.size, -np.inf, np.float32)
        for place, name in enumerate(self.names):
            if (final := self.final.get(name)) is not None:
                mask = final.mask
                sure = self._sure(name) if name in self.tracked else FINAL_LOGIT + distance_logits(mask)
                claim = np.where(mask, sure, -np.inf).astype(np.float32)
                if final.lost is not None:
                    claim[decode_rle(final.lost)] = LOST
            else:
                claim = resize_logits(self.logits[name], self.size)
                if not self.apart:
                    self._bits[name] = np.packbits(claim > 0)
            surer = claim > best
            surest[surer], best[surer] = place, claim[surer]
        return np.where(best > 0, surest, ~surest)


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
    def state(self) -> ObjectState:
        """Whether the object is seen: absent by its presence, uncertain by its predicted IoU."""
        return state_of(self.presence, self.iou)

    def full_logits(self) -> NDArray[np.float32]:
        """(H, W) float32: the logits stretched to the frame, bilinear; at most -10 where each pixel is given to one
        object and another one is surer. Of a mask that a person gave or locked, twice the distance to its edge."""
        return self.pixels.full_logits(self.name)


@dataclass(frozen=True, eq=False)
class FrameResult(FrameLike):
    """All objects in one frame.

    Attributes:
        frame: Number of the frame, from 0.
        time: Seconds since the first frame.
        size: (height, width).
        image: uint8 (H, W, 3) RGB, the frame itself.
        objects: Results by the user's names, in the order in which the objects were added.
        indices: The number of each object in index maps and overlays, from 1.
        descriptions: What is said of the objects, of those of which anything is.
        scene_cut: Whether a scene cut lies between this frame and the one from which its objects were followed.
    """

    objects: Mapping[ObjectId, ObjectResult]
    image: NDArray[np.uint8]
    scene_cut: bool = False

    def __repr__(self) -> str:
        height, width = self.size
        states = "".join(f", {name} {result.state}" for name, result in self.objects.items())
        return f"FrameResult(frame {self.frame} of {width} x {height} pixels{states})"

    @property
    def needs_prompt(self) -> dict[ObjectId, ReviewReason]:
        """The objects at which a person should look, and why."""
        return {name: result.needs_prompt for name, result in self.objects.items() if result.needs_prompt is not None}

    @property
    def masks(self) -> NDArray[np.bool_]:
        """bool (N, H, W) in the order of `objects`; masks may overlap."""
        if not self.objects:
            return np.zeros((0, *self.size), np.bool_).view(CallableMasks)
        return np.stack([result.mask for result in self.objects.values()]).view(CallableMasks)

    @property
    def numbers(self) -> NDArray[np.int32]:
        """int32 (H, W): the object's number at each pixel, 0 where there is none; of masks that overlap, the surer."""
        return numbers_in(self)

    def index_map(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """`numbers` as uint8 (H, W), or as uint16 if a number is over 255."""
        many = max(self.indices.values(), default=0) > 255
        return self.numbers.astype(np.uint16) if many else self.numbers.astype(np.uint8)


class FoundFrame(PlainFrame):
    """A tracker's frame without its picture."""

    def index_map(self) -> NDArray[np.int32]:
        return numbers_in(self)


def numbers_in(result: FrameLike) -> NDArray[np.int32]:
    """int32 (H, W): the number of the object that has a pixel in a tracker's frame, 0 where there is none; of masks
    that overlap, the surer."""
    pixels = next((item.pixels for item in result.objects.values() if isinstance(item, ObjectResult)), None)
    if pixels is None:
        return np.zeros(result.size, np.int32)
    shown = pixels.of(result.objects)
    numbers = np.array([*(result.indices[name] for name in shown.names), 0], np.int32)[shown.owners]
    if shown is pixels:
        return numbers
    return np.where(np.any([item.mask for item in result.objects.values()], axis=0), numbers, 0)


def frame_result(picture: Frame, tracks: Tracks, non_overlapping: bool) -> FrameResult:
    """The result of a frame, with every object that is known there."""
    image, frame = picture.image, picture.index
    size = image.shape[0], image.shape[1]
    objects = object_results(tracks, frame, size, non_overlapping)
    cut = any(stats.cut for track in tracks.values() if (stats := track.stats(frame)) is not None)
    return FrameResult(frame, picture.time, size, objects, numbers(tracks), image, descriptions(tracks), cut)


def object_results(
    tracks: Tracks, frame: int, size: tuple[int, int], non_overlapping: bool
) -> dict[ObjectId, ObjectResult]:
    """The results of the objects that are known in a frame."""
    known = {name: found for name, track in tracks.items() if (found := track.known(frame)) is not None}
    logits = {name: to_numpy(found.logits) for name, found in known.items()}
    final = {name: found.exact_mask for name, found in known.items() if found.exact_mask is not None}
    side = max((len(own) for own in logits.values()), default=0)
    tracked = {name for name in final if frame not in tracks[name].prompted}
    pixels = FramePixels(logits, final, size, side, non_overlapping, tracked)
    results: dict[ObjectId, ObjectResult] = {}
    for name, found in known.items():
        track = tracks[name]
        first, last = track.reach(frame)
        reach = (first, None if last == END else last) if frame in track.prompted else None
        doubt = ReviewReason(found.doubt) if found.doubt and not track.stands(frame) else None
        results[name] = ObjectResult(name, pixels, found.iou, probability(found.presence), doubt, reach)
    return results


def plain_frame(tracks: Tracks, frame: int, time: float, size: tuple[int, int], non_overlapping: bool) -> PlainFrame:
    """The result of a frame, without its picture."""
    objects = object_results(tracks, frame, size, non_overlapping)
    return FoundFrame(frame, time, size, objects, numbers(tracks), descriptions=descriptions(tracks))


MadeOf = tuple[int, tuple[tuple[ObjectId, object], ...]]
"""A frame, and by object what is known of it there."""


class ShownMasks:
    """Masks of frames, of size (height, width), as states show them. What one save encoded, and what a file has, the
    next save has. `time` tells when a frame comes, in seconds."""

    def __init__(self, size: tuple[int, int], non_overlapping: bool, time: Callable[[int], float]) -> None:
        self._size, self._non_overlapping, self._time = size, non_overlapping, time
        self._before: dict[MadeOf, ProjectFrame] = {}
        self._now: dict[MadeOf, ProjectFrame] = {}
        self._opened: tuple[Tracks, Mapping[int, ProjectFrame]] = ({}, {})

    def __call__(self, tracks: Tracks, frame: int) -> ProjectFrame:
        """Masks and scores of all objects in a frame."""
        made_of, (opened, frames) = self._made_of(tracks, frame), self._opened
        if frame in frames and made_of == self._made_of(opened, frame):
            there = frames[frame].objects  # a damaged file may lack one whose scores it has
            if all(name in there for name, known in made_of[1] if known):
                return frames[frame]
        if made_of not in self._now:
            self._now[made_of] = self._before.get(made_of) or self._encoded(tracks, frame)
        return self._now[made_of]

    def final(self, tracks: Tracks, frame: int) -> Mapping[ObjectId, RleMask]:
        """The masks of a frame, to stay as they are."""
        return self._encoded(tracks, frame).objects

    def remember(self, tracks: Tracks, frames: Mapping[int, ProjectFrame]) -> None:
        """A file has these masks of a state: they need not be encoded again."""
        self._opened = tracks, frames

    def forget_others(self) -> None:
        """A save is done: what it did not ask for is not kept."""
        self._before, self._now = self._now, {}

    def _encoded(self, tracks: Tracks, frame: int) -> ProjectFrame:
        return project_frame(plain_frame(tracks, frame, self._time(frame), self._size, self._non_overlapping))

    @staticmethod
    def _made_of(tracks: Tracks, frame: int) -> MadeOf:
        """What decides the masks of a frame."""
        return frame, tuple((name, track.is_absent(frame) or track.stats(frame)) for name, track in tracks.items())


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
