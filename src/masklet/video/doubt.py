"""When a person should look: signs that a mask is going wrong, read from what the model already says."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from masklet.video.state import MemoryEntry, ObjectId, ObjectTrack

DOUBTFUL_IOU = 0.5
"""A mask whose predicted IoU is lower is doubtful."""

LEAST_OVERLAP = 0.1
"""Masks of one object in neighbouring frames overlap at least so much, as IoU, or the object has jumped."""

GROWTH = 3.0
"""Between neighbouring frames the area of an object changes at most by this factor, or it has jumped."""

MERGED = 0.7
"""Two objects share at most this part of the smaller one, or they merge."""


class Reason(str, Enum):
    """Why an object needs a prompt."""

    PRESENCE_LOST = "presence lost"
    """It was there in the frame before and is absent now."""
    SCENE_CUT = "scene cut"
    """The scene was cut just before the frame: what is found there is a guess."""
    LOW_IOU = "low IoU"
    """The model itself doubts the mask."""
    JUMP = "jump"
    """Its area or place changed suddenly."""
    MERGING = "merging"
    """Its mask is that of another object too."""

    def __str__(self) -> str:
        return self.value


def reasons(tracks: Mapping[ObjectId, ObjectTrack], frame: int) -> dict[ObjectId, Reason]:
    """The objects that need a prompt on a frame, with the gravest reason. A prompted frame is never in doubt."""
    known = {name: track.entry(frame) for name, track in tracks.items()}
    masks = {name: entry.logits.cpu().numpy() > 0 for name, entry in known.items() if entry is not None}
    found: dict[ObjectId, Reason] = {}
    for name, track in tracks.items():
        entry = known[name]
        if entry is None or frame in track.prompted:
            continue
        reason = against_before(entry, track.entry(frame + (1 if entry.backward else -1)))
        others = [mask for other, mask in masks.items() if other != name]
        if reason is None and any(shared(masks[name], other) > MERGED for other in others):
            reason = Reason.MERGING
        if reason is not None:
            found[name] = reason
    return found


def against_before(entry: MemoryEntry, before: MemoryEntry | None) -> Reason | None:
    """What an entry tells beside that of the frame before, in the direction in which it was followed."""
    if entry.presence <= 0:
        return Reason.PRESENCE_LOST if before is not None and before.presence > 0 else None
    if entry.cut:
        return Reason.SCENE_CUT
    if entry.iou < DOUBTFUL_IOU:
        return Reason.LOW_IOU
    if before is None or before.presence <= 0:
        return None
    return Reason.JUMP if jumped(entry.logits.cpu().numpy() > 0, before.logits.cpu().numpy() > 0) else None


def jumped(mask: NDArray[np.bool_], before: NDArray[np.bool_]) -> bool:
    """Whether area or place changed suddenly between two masks that are not empty."""
    area, area_before = int(mask.sum()), int(before.sum())
    if not area or not area_before:
        return area != area_before
    overlap = int((mask & before).sum())
    iou = overlap / (area + area_before - overlap)
    return iou < LEAST_OVERLAP or not 1 / GROWTH <= area / area_before <= GROWTH


def shared(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """The common part of two masks, as a share of the smaller; 0 if one is empty."""
    smaller = min(int(a.sum()), int(b.sum()))
    return int((a & b).sum()) / smaller if smaller else 0.0
