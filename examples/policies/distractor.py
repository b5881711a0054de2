"""Beside the recent frames, anchors are remembered: frames on which the object was seen well next to a look-alike.

    masklet track clip.mp4 --box 0:1:40,60,220,240 --policy examples.policies.distractor:DistractorPolicy --out a

Source: the distractor-resolving memory of DAM4SAM (Videnovic, Lukezic, Kristan: CVPR 2025), from its description.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import Array, to_numpy
from masklet.masks.shape import Box, mask_box
from masklet.video.policies import PublishedPolicy, anchors_before, recent, recently_tracked
from masklet.video.recall import Recall, RecallOptions, published_recall
from masklet.video.state import FrameStats, KnownFrame, ObjectTrack


@dataclass(frozen=True)
class DistractorPolicy(PublishedPolicy):
    """As published, but empty frames are not recalled, and anchors stand beside the prompted frames, without a time
    code. The numbers are the published ones, but for the score, which is measured by the object's usual one.

    Attributes:
        most_beside: So many anchors at most; the oldest goes.
        share: An anchor's predicted IoU is at least this share of the object's usual one.
        growth: Least and greatest area of an anchor, as a share of the median of recent areas.
        areas: Areas of so many frames make that median.
        gap: Frames between two anchors.
        overlap: A look-alike is being considered if the box of the chosen mask and the box around it and another
            candidate's remainder have at most this IoU.
    """

    most_beside: int = 3
    share: float = 1.0
    growth: tuple[float, float] = (0.8, 1.2)
    areas: int = 10
    gap: int = 5
    overlap: float = 0.7

    @property
    def most_anchors(self) -> int:
        return self.most_beside

    def keep(self, track: ObjectTrack, known: KnownFrame, rivals: Array) -> tuple[int, ...]:
        anchors = anchors_before(track, known.frame, backward=known.backward)
        due = all(abs(known.frame - anchor) > self.gap for anchor in anchors)
        if due and self.is_sure(track, known) and lookalike(known, rivals, self.overlap):
            return (*anchors, known.frame)[-self.most_anchors :]
        return anchors

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        near = recently_tracked(track, frame, self.window, backward=backward)
        seen = [f for f in near if (stats := track.stats(f)) and stats.presence > 0 and stats.area]
        recall = published_recall(frame, list(track.prompted), seen, self.options, backward=backward)
        return with_anchors(recall, frame, anchors_before(track, frame, backward=backward), self.options)

    def is_sure(self, track: ObjectTrack, entry: KnownFrame) -> bool:
        """Whether score and area are the object's usual ones."""
        seen = recent(track, entry.frame, self.window, backward=entry.backward)
        areas = [past.area for past in seen if past.area][: self.areas]
        least, most = self.growth
        steady = bool(areas) and least <= entry.area / statistics.median(areas) <= most
        return steady and seen_well(track, entry, self.share, self.window)


def seen_well(track: ObjectTrack, known: FrameStats, share: float, count: int) -> bool:
    """Whether the object is in a new frame, with at least this share of its usual score: the median of the model's own
    scores on anchors and on the `count` frames behind. What a score of 0.8 means differs from model to model; this does
    not."""
    frames = {
        *recently_tracked(track, known.frame, count, backward=known.backward),
        *anchors_before(track, known.frame, backward=known.backward),
    }
    scores = [past.iou for past in map(track.stats, frames) if past is not None and past.area]
    usual = statistics.median(scores) if scores else 0.0
    return known.presence > 0 and known.area > 0 and known.iou >= share * usual


def with_anchors(recall: Recall, frame: int, anchors: Sequence[int], options: RecallOptions) -> Recall:
    """A recall with further frames in the slot of prompted ones, that is without a time code, and with their pointers.
    Those that are recalled anyway stay as they are."""
    memories = [f for f in anchors if f not in recall.memories]
    pointers = [f for f in anchors if f not in recall.pointers]
    return Recall(
        memories=(*memories, *recall.memories),
        slots=(*(options.slots - 1 for _ in memories), *recall.slots),
        pointers=(*pointers, *recall.pointers),
        ages=(*(abs(frame - f) for f in pointers), *recall.ages),
        longest=recall.longest,
    )


def lookalike(entry: KnownFrame, rivals: Array, overlap: float) -> bool:
    """Whether another candidate lies elsewhere: the largest part of what it has beside the chosen mask widens the box
    of that mask so far that the IoU of both boxes is at most `overlap`."""
    chosen = to_numpy(entry.logits > 0)
    boxes = (largest_part(mask & ~chosen) for mask in to_numpy(rivals > 0))
    return any(box_iou(entry.box, box_around(entry.box, box)) <= overlap for box in boxes if box is not None)


def largest_part(mask: NDArray[np.bool_]) -> Box | None:
    """The box of the largest connected part, or None if the mask is empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    x0, y0, x1, y1 = mask_box(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).tolist()
    return x0, y0, x1, y1


def box_around(a: Box, b: Box) -> Box:
    """The smallest box around two others that are not empty."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1); 0 if one is empty."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / either if either else 0.0
