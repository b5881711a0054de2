"""Beside the recent frames, anchors are remembered: frames on which the object was seen well next to a look-alike.

Source: the distractor-resolving memory of DAM4SAM (Videnovic, Lukezic, Kristan: CVPR 2025), from its description.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from masklet.masks.boxes import mask_box
from masklet.video.extent import box_around, box_iou
from masklet.video.policies.anchored import AnchoredPolicy
from masklet.video.policies.base import Kept
from masklet.video.policies.past import held_before, recent, seen_well
from masklet.video.state import Box, MemoryEntry, ObjectTrack


@dataclass(frozen=True)
class DistractorPolicy(AnchoredPolicy):
    """As published, but empty frames are not remembered, and anchors stand beside the prompted frames, without a time
    code. The numbers are the published ones, but for the score, which is measured by the object's usual one.

    Attributes:
        most_held: So many anchors at most; the oldest goes.
        share: An anchor's predicted IoU is at least this share of the object's usual one.
        growth: Least and greatest area of an anchor, as a share of the median of recent areas.
        areas: Areas of so many frames make that median.
        gap: Frames between two anchors.
        overlap: A look-alike is being considered if the box of the chosen mask and the box around it and another
            candidate's remainder have at most this IoU.
    """

    most_held: int = 3
    share: float = 1.0
    growth: tuple[float, float] = (0.8, 1.2)
    areas: int = 10
    gap: int = 5
    overlap: float = 0.7

    def keep(self, track: ObjectTrack, entry: MemoryEntry, rivals: Tensor) -> Kept:
        held = held_before(track, entry.frame, backward=entry.backward)
        if entry.presence <= 0 or not entry.area:
            return Kept(remembered=False, held=held)
        due = all(abs(entry.frame - anchor) > self.gap for anchor in held)
        if due and self.is_sure(track, entry) and lookalike(entry, rivals, self.overlap):
            held = (*held, entry.frame)[-self.most_held :]
        return Kept(remembered=True, held=held)

    def is_sure(self, track: ObjectTrack, entry: MemoryEntry) -> bool:
        """Whether score and area are the object's usual ones."""
        seen = recent(track, entry.frame, self.window, backward=entry.backward)
        areas = [past.area for past in seen if past.area][: self.areas]
        least, most = self.growth
        steady = bool(areas) and least <= entry.area / statistics.median(areas) <= most
        return steady and seen_well(track, entry, self.share, self.window)


def lookalike(entry: MemoryEntry, rivals: Tensor, overlap: float) -> bool:
    """Whether another candidate lies elsewhere: the largest part of what it has beside the chosen mask widens the box
    of that mask so far that the IoU of both boxes is at most `overlap`."""
    chosen = entry.logits.cpu().numpy() > 0
    boxes = (largest_part(mask & ~chosen) for mask in rivals.cpu().numpy() > 0)
    return any(box_iou(entry.box, box_around(entry.box, box)) <= overlap for box in boxes if box is not None)


def largest_part(mask: NDArray[np.bool_]) -> Box | None:
    """The box of the largest connected part, or None if the mask is empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    x0, y0, x1, y1 = mask_box(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).tolist()
    return x0, y0, x1, y1
