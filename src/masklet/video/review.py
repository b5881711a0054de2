"""When a person should look: signs that a mask is going wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import to_numpy
from masklet.masks.shape import Box, common_box
from masklet.video.policies.base import recent
from masklet.video.state import KnownFrame, ObjectId, Tracks

DOUBTFUL_IOU = 0.5
"""A mask whose predicted IoU is lower is doubtful."""

DOUBTFUL_MEAN = 0.63
"""So are masks whose predicted IoU was lower in the mean of the last frames, a better sign than that of one frame.
Chosen with `nano` on videos that it was trained on (docs/tracking.md)."""

RECENT = 8
"""Frames before, of which that mean is taken with the frame itself."""

LEAST_OVERLAP = 0.1
"""Masks of one object in neighbouring frames overlap at least so much, as IoU, or the object has jumped."""

GROWTH = 3.0
"""Between neighbouring frames the area of an object changes at most by this factor, or it has jumped."""

MERGED = 0.7
"""Two objects share at most this part of the smaller one, or they merge."""


class ReviewReason(str, Enum):
    """Why an object needs a prompt."""

    PRESENCE_LOST = "presence lost"
    """It was there in the frame before and is absent now."""
    SCENE_CUT = "scene cut"
    """The scene was cut just before the frame: what is found there is a guess."""
    LOW_IOU = "low IoU"
    """The model itself doubts the mask, or those of the last frames."""
    JUMP = "jump"
    """Its area or place changed suddenly."""
    MERGING = "merging"
    """Its mask is that of another object too."""

    def __str__(self) -> str:
        return self.value


def with_doubts(tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> dict[ObjectId, KnownFrame]:
    """What was found of objects in one frame, each with the reason for which a person should look."""
    frames = {known.frame for known in found.values()}
    reasons = review_reasons(tracks, frames.pop(), found) if frames else {}
    return {name: replace(known, doubt=str(reasons.get(name, ""))) for name, known in found.items()}


def review_reasons(
    tracks: Tracks, frame: int, found: Mapping[ObjectId, KnownFrame] | None = None
) -> dict[ObjectId, ReviewReason]:
    """The objects that need a prompt on a frame, with the gravest reason; with `found`, of the objects alone that were
    found in it just now, and are in no track yet. A prompted frame is never in doubt."""
    others = {name: entry for name, track in tracks.items() if (entry := track.known(frame)) is not None}
    known = {**others, **(found or {})}
    merging = {name for pair in merged_pairs(known) for name in pair}
    reasons: dict[ObjectId, ReviewReason] = {}
    for name, entry in (found or known).items():
        track = tracks[name]
        if track.stands(frame):
            continue
        earlier = recent(track, frame, RECENT, backward=entry.backward)
        previous = track.known(earlier[0].frame) if earlier and abs(earlier[0].frame - frame) == 1 else None
        reason = check_against_previous(entry, previous, fmean(stats.iou for stats in (entry, *earlier)))
        if reason is None and name in merging:
            reason = ReviewReason.MERGING
        if reason is not None:
            reasons[name] = reason
    return reasons


def check_against_previous(
    entry: KnownFrame, previous: KnownFrame | None, mean_iou: float = 1.0
) -> ReviewReason | None:
    """Why an entry needs a prompt, compared with the frame before in the direction of following; None if it needs none.
    `mean_iou` is the mean of the predicted IoU over the last frames."""
    if entry.presence <= 0:
        return ReviewReason.PRESENCE_LOST if previous is not None and previous.presence > 0 else None
    if entry.cut:
        return ReviewReason.SCENE_CUT
    if entry.iou < DOUBTFUL_IOU or mean_iou < DOUBTFUL_MEAN:
        return ReviewReason.LOW_IOU
    if previous is None or previous.presence <= 0:
        return None
    return ReviewReason.JUMP if jumped(entry, previous) else None


def jumped(entry: KnownFrame, previous: KnownFrame) -> bool:
    """Whether area or place changed suddenly between two masks."""
    if not entry.area or not previous.area:
        return entry.area != previous.area
    if not 1 / GROWTH <= entry.area / previous.area <= GROWTH:
        return True
    common = common_cells(entry, previous)
    return common / (entry.area + previous.area - common) < LEAST_OVERLAP


def merged_pairs(entries: Mapping[ObjectId, KnownFrame]) -> Iterator[tuple[ObjectId, ObjectId]]:
    """Pairs of objects of which one lies in the other for the most part. Masks are looked at only where boxes do."""
    names = list(entries)
    if len(names) < 2:
        return
    areas = np.array([entry.area for entry in entries.values()])
    boxes = np.array([entry.box for entry in entries.values()], np.int64).reshape(-1, 4)
    low, high = np.maximum(boxes[:, None, :2], boxes[:, :2]), np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    most = np.clip(high - low, 0, None).prod(axis=2)  # cells that two of them can have in common
    smaller = np.minimum(areas[:, None], areas)
    for a, b in np.argwhere(np.triu(most > MERGED * smaller, 1) & (smaller > 0)):
        if common_cells(entries[names[a]], entries[names[b]]) > MERGED * smaller[a, b]:
            yield names[a], names[b]


def common_cells(a: KnownFrame, b: KnownFrame) -> int:
    """Cells that are inside of both masks."""
    box = common_box(a.box, b.box)
    return 0 if box is None else int(np.count_nonzero(inside(a, box) & inside(b, box)))


def inside(entry: KnownFrame, box: Box) -> NDArray[np.bool_]:
    """The part of a mask that is in a box of cells."""
    x0, y0, x1, y1 = box
    return np.asarray(to_numpy(entry.logits[y0:y1, x0:x1]) > 0)
