"""When a person should look: signs that a mask is going wrong, and scene cuts.

A cut is noticed by the colours of consecutive frames. A signature holds a histogram of each colour channel in each
quarter of the picture. A cut moves much of it at once: more than any two neighbouring frames of one scene do, and more
than the frames just before did.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from itertools import pairwise
from statistics import fmean, median

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import to_numpy
from masklet.masks.shape import Box, common_box
from masklet.video.policies import recent
from masklet.video.state import FrameStats, KnownFrame, ObjectId, ObjectTrack, Tracks

DOUBTFUL_IOU = 0.5
"""A mask whose predicted IoU is lower is doubtful."""

DOUBTFUL_MEAN = 0.63
"""So are masks whose predicted IoU was lower in the mean of the last frames, a better sign than that of one frame.
Chosen with `nano` on videos that it was trained on (docs/tracking.md)."""

MEAN_FRAMES = 8
"""Frames before, of which that mean is taken with the frame itself."""

MIN_OVERLAP = 0.1
"""Masks of one object in neighbouring frames overlap at least so much, as IoU, or the object has jumped."""

MAX_GROWTH = 3.0
"""Between neighbouring frames the area of an object changes at most by this factor, or it has jumped."""

MERGED_SHARE = 0.7
"""Two objects share at most this part of the smaller one, or they merge."""

HISTOGRAM_SIZE = (64, 36)
"""Width and height of the picture that is counted."""

SAMPLED_SIZE = (256, 144)
"""Width and height of the pixels that it is made of: all of a frame would take ten times as long to count."""

HISTOGRAM_BINS = 8
"""Bins of each histogram."""

SIGNATURE_BYTES = 4 * 3 * HISTOGRAM_BINS
"""How long the signature of a frame's colours is."""

MIN_CHANGE = 0.21
"""Share of the pixels that change their bin at a cut. Frames of one scene stayed under 0.2, see docs/policies.md."""

CUT_RATIO = 3.0
"""A cut changes so many times more than the frames before it."""

FRAMES_BEFORE = 8
"""Frames before, whose median change that is."""


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
    """What was found of objects in one frame, each with the gravest reason for which a person should look."""
    frame = next(iter(found.values())).frame
    others = {name: entry for name, track in tracks.items() if (entry := track.known(frame)) is not None}
    merging = {name for pair in merged_pairs({**others, **found}) for name in pair}
    doubts = {name: doubt_of(tracks[name], entry, name in merging) for name, entry in found.items()}
    return {name: replace(entry, doubt=str(doubts[name] or "")) for name, entry in found.items()}


def doubt_of(track: ObjectTrack, entry: KnownFrame, merging: bool) -> ReviewReason | None:
    """Why what was found of an object needs a prompt, compared with the frames before in the direction of following;
    None if it needs none. A frame for which a person answers is never in doubt."""
    if track.stands(entry.frame):
        return None
    earlier = recent(track, entry.frame, MEAN_FRAMES, backward=entry.backward)
    previous = track.known(earlier[0].frame) if earlier and abs(earlier[0].frame - entry.frame) == 1 else None
    was_seen = previous is not None and previous.presence > 0
    if entry.presence <= 0:
        if was_seen:
            return ReviewReason.PRESENCE_LOST
    elif entry.cut:
        return ReviewReason.SCENE_CUT
    elif entry.iou < DOUBTFUL_IOU or fmean(stats.iou for stats in (entry, *earlier)) < DOUBTFUL_MEAN:
        return ReviewReason.LOW_IOU
    elif previous is not None and was_seen and jumped(entry, previous):
        return ReviewReason.JUMP
    return ReviewReason.MERGING if merging else None


def jumped(entry: KnownFrame, previous: KnownFrame) -> bool:
    """Whether area or place changed suddenly between two masks."""
    if not entry.area or not previous.area:
        return entry.area != previous.area
    if not 1 / MAX_GROWTH <= entry.area / previous.area <= MAX_GROWTH:
        return True
    common = common_cells(entry, previous)
    return common / (entry.area + previous.area - common) < MIN_OVERLAP


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
    for a, b in np.argwhere(np.triu(most > MERGED_SHARE * smaller, 1) & (smaller > 0)):
        if common_cells(entries[names[a]], entries[names[b]]) > MERGED_SHARE * smaller[a, b]:
            yield names[a], names[b]


def common_cells(a: KnownFrame, b: KnownFrame) -> int:
    """Cells that are inside of both masks."""
    box = common_box(a.box, b.box)
    return 0 if box is None else int(np.count_nonzero(mask_in_box(a, box) & mask_in_box(b, box)))


def mask_in_box(entry: KnownFrame, box: Box) -> NDArray[np.bool_]:
    """The part of a mask that is in a box of cells."""
    x0, y0, x1, y1 = box
    return np.asarray(to_numpy(entry.logits[y0:y1, x0:x1]) > 0)


def signature(image: NDArray[np.uint8]) -> bytes:
    """The colours of a frame, uint8 (H, W, 3): 96 numbers, 4 quarters x 3 channels x 8 bins, each a share of 255."""
    width, height = HISTOGRAM_SIZE
    sampled = cv2.resize(image, SAMPLED_SIZE, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(sampled, HISTOGRAM_SIZE, interpolation=cv2.INTER_AREA)
    quarters = small.reshape(2, height // 2, 2, width // 2, 3).transpose(0, 2, 4, 1, 3).reshape(12, -1)
    bins = (quarters // (256 // HISTOGRAM_BINS)).astype(np.int64) + HISTOGRAM_BINS * np.arange(12)[:, None]
    shares = np.bincount(bins.ravel(), minlength=SIGNATURE_BYTES) / quarters.shape[1]
    return np.rint(shares * 255).astype(np.uint8).tobytes()


def change(a: bytes, b: bytes) -> float:
    """0..1: the share of pixels that lie in another bin, mean over quarters and channels; 0 for a missing signature."""
    if not a or not b:
        return 0.0
    one, other = (np.frombuffer(colours, np.uint8).astype(np.float64) for colours in (a, b))
    return float(np.abs(one - other).sum()) / (2 * 12 * 255)


def is_cut(track: ObjectTrack, entry: FrameStats) -> bool:
    """Whether a scene cut lies between a new frame and the frame from which it was followed."""
    seen = recent(track, entry.frame, FRAMES_BEFORE + 1, backward=entry.backward)
    if not seen or abs(seen[0].frame - entry.frame) != 1:
        return False
    return is_cut_of(entry.colours, [past.colours for past in seen])


def is_cut_of(colours: bytes, earlier: Sequence[bytes]) -> bool:
    """Whether a scene begins with a frame; `earlier` are the signatures of frames before it, newest first."""
    now = change(earlier[0], colours)
    if now < MIN_CHANGE:
        return False
    changes = [change(older, newer) for newer, older in pairwise(earlier)]
    return not changes or now >= CUT_RATIO * median(changes)
