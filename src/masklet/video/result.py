"""What a tracker answers: low-resolution logits are kept, a mask is made when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.formats.base import distance_logits, surest
from masklet.formats.project import ProjectMask
from masklet.masks.draw import draw_overlay
from masklet.masks.rle import Rle, decode_rle
from masklet.masks.stretch import stretched
from masklet.media.source import Frame
from masklet.video.contest import Contest
from masklet.video.doubt import DOUBTFUL_IOU, Reason, reasons
from masklet.video.state import MemoryEntry, ObjectId, ObjectTrack

LOST_LOGIT = -10.0
"""Highest logit of a pixel that was given to another object, as published."""


@dataclass(frozen=True, eq=False)
class ObjectResult:
    """One object in one frame.

    Attributes:
        logits: (S/4, S/4) float32, positive inside.
        size: (height, width) of the frame.
        iou: Predicted intersection over union of the mask, 0..1.
        presence: Probability that the object is in the frame, 0..1.
        needs_prompt: Why a person should look, or None.
        rival: Gives (H, W), the highest logit of other objects, to which a pixel is lost where it is surer; None if
            masks may overlap.
        exact_mask: The mask, where it is final: a person gave or locked it, or it was read from a file. Logits of the
            picture's size are then made from the distance to its edge.
    """

    logits: NDArray[np.float32]
    size: tuple[int, int]
    iou: float
    presence: float
    needs_prompt: Reason | None = None
    rival: Callable[[], NDArray[np.float32]] | None = None
    exact_mask: Rle | None = None

    def __repr__(self) -> str:
        needs = f", needs a prompt: {self.needs_prompt}" if self.needs_prompt else ""
        return f"{type(self).__name__}({self.state}, iou {self.iou:.2f}, presence {self.presence:.2f}{needs})"

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool (H, W)"""
        return self.full_logits() > 0 if self.exact_mask is None else decode_rle(self.exact_mask)

    @property
    def uncertainty(self) -> NDArray[np.float32]:
        """(H, W) in 0..1: 1 where the mask could as well end, 0 where the model is sure."""
        probability = 1 / (1 + np.exp(-np.clip(self.full_logits(), -32, 32)))
        return (1 - np.abs(2 * probability - 1)).astype(np.float32)

    @property
    def state(self) -> Literal["visible", "uncertain", "absent"]:
        """Whether the object is seen: absent by its presence, uncertain by its predicted IoU."""
        if self.presence <= 0.5:
            return "absent"
        return "visible" if self.iou >= DOUBTFUL_IOU else "uncertain"

    def full_logits(self) -> NDArray[np.float32]:
        """(H, W) float32: the logits stretched to the frame, bilinear; at most -10 where a rival is surer."""
        if self.exact_mask is not None:
            return distance_logits(decode_rle(self.exact_mask))
        own = stretched(self.logits, self.size)
        if self.rival is None:
            return own
        return np.where(self.rival() > own, np.minimum(own, LOST_LOGIT), own)


@dataclass(frozen=True, eq=False)
class FrameResult:
    """All objects in one frame.

    Attributes:
        frame: Number of the frame, from 0.
        time: Seconds since the first frame.
        image: uint8 (H, W, 3) RGB, the frame itself.
        objects: Results by the user's names, in the order in which the objects were added.
        indices: The number of each object in index maps and overlays, from 1.
        scene_cut: Whether a scene cut lies between this frame and the one from which its objects were followed.
    """

    frame: int
    time: float
    image: NDArray[np.uint8]
    objects: Mapping[ObjectId, ObjectResult]
    indices: Mapping[ObjectId, int]
    scene_cut: bool = False

    def __repr__(self) -> str:
        height, width = self.size
        states = "".join(f", {name} {result.state}" for name, result in self.objects.items())
        return f"FrameResult(frame {self.frame} of {width} x {height} pixels{states})"

    @property
    def needs_prompt(self) -> dict[ObjectId, Reason]:
        """The objects at which a person should look, and why."""
        return {name: result.needs_prompt for name, result in self.objects.items() if result.needs_prompt is not None}

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        height, width = self.image.shape[:2]
        return height, width

    def masks(self) -> NDArray[np.bool_]:
        """bool (N, H, W) in the order of `objects`; masks may overlap."""
        if not self.objects:
            return np.zeros((0, *self.size), np.bool_)
        return np.stack([result.mask for result in self.objects.values()])

    def index_map(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """(H, W): the object's number at each pixel, 0 where there is none; where masks overlap, the surer one.

        uint8, or uint16 if a number is over 255.
        """
        numbers = surest(self)
        many = max(self.indices.values(), default=0) > 255
        return numbers.astype(np.uint16) if many else numbers.astype(np.uint8)

    def overlay(self) -> Image.Image:
        """The frame with every mask tinted and named."""
        masks = {self.indices[name]: result.mask for name, result in self.objects.items()}
        names = {self.indices[name]: str(name) for name in self.objects}
        return Image.fromarray(draw_overlay(self.image, masks, labels=names))


def frame_result(
    picture: Frame, tracks: Mapping[ObjectId, ObjectTrack], side: int, non_overlapping: bool
) -> FrameResult:
    """What the user sees of a frame: every object of which something is known there. `side` is that of the model's
    low-resolution logits."""
    height, width = picture.image.shape[:2]
    objects = object_results(tracks, picture.index, (height, width), side, non_overlapping)
    cut = scene_cut(tracks, picture.index)
    return FrameResult(picture.index, picture.time, picture.image, objects, numbers(tracks), cut)


def scene_cut(tracks: Mapping[ObjectId, ObjectTrack], frame: int) -> bool:
    """Whether a scene cut was noticed when an object was followed into the frame."""
    seen = (track.sighting(frame) for track in tracks.values())
    return any(sighting.cut for sighting in seen if sighting is not None)


def object_results(
    tracks: Mapping[ObjectId, ObjectTrack], frame: int, size: tuple[int, int], side: int, non_overlapping: bool
) -> dict[ObjectId, ObjectResult]:
    """What is known of each object in a frame; where only the mask of a reopened session is known, that."""
    known = {name: track.entry(frame) or track.tracked.faint.get(frame) for name, track in tracks.items()}
    entries = {name: entry for name, entry in known.items() if entry is not None}
    masks = {name: track.saved[frame] for name, track in tracks.items() if frame in track.saved and name not in entries}
    logits = {name: entry.logits.float().cpu().numpy() for name, entry in entries.items()}
    exact = {name: entry.exact_mask for name, entry in entries.items() if isinstance(entry, MemoryEntry)}
    final = {name: mask for name, mask in exact.items() if mask is not None}
    claims = {name: own for name, own in logits.items() if name not in final}
    contest = Contest(claims, {**final, **{name: saved.rle for name, saved in masks.items()}}, size)
    doubts = reasons(tracks, frame)
    found = {
        name: ObjectResult(
            logits=logits[name],
            size=size,
            iou=entry.iou,
            presence=probability(entry.presence),
            needs_prompt=doubts.get(name),
            rival=partial(contest.rival, name) if non_overlapping and name in claims else None,
            exact_mask=final.get(name),
        )
        for name, entry in entries.items()
    }
    saved = {
        name: ObjectResult(small_logits(mask, side), size, mask.iou, mask.presence, exact_mask=mask.rle)
        for name, mask in masks.items()
    }
    return {name: found.get(name) or saved[name] for name in tracks if name in found or name in saved}


def small_logits(saved: ProjectMask, side: int) -> NDArray[np.float32]:
    """(side, side) logits of a mask of which nothing else is known, from the distance to its edge."""
    return np.asarray(cv2.resize(saved.full_logits(), (side, side), interpolation=cv2.INTER_AREA), np.float32)


def probability(logit: float) -> float:
    """0..1"""
    return 1 / (1 + math.exp(-max(-32.0, min(32.0, logit))))


def logit(probability: float) -> float:
    """The logit of a probability, within -32 and 32."""
    if not 0 < probability < 1:
        return 32.0 if probability >= 1 else -32.0
    return max(-32.0, min(32.0, math.log(probability / (1 - probability))))


def numbers(tracks: Mapping[ObjectId, ObjectTrack]) -> dict[ObjectId, int]:
    """The number of each object in index maps."""
    return {name: track.number for name, track in tracks.items()}
