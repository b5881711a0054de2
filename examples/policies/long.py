"""Beside the recent frames, some of the whole video so far are remembered: spread over it, and unlike each other.

    masklet track clip.mp4 --box 0:1:40,60,220,240 --policy examples.policies.long:LongPolicy --out a

Source: whole frames in the manner of XMem's long-term memory (Cheng and Schwing, 2022), from its description; the rule
of what goes is our own.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import Array, to_numpy
from masklet.video.policies import PublishedPolicy, anchors_before, recently_tracked
from masklet.video.recall import Recall, RecallOptions
from masklet.video.state import FrameStats, KnownFrame, ObjectTrack


@dataclass(frozen=True)
class LongPolicy(PublishedPolicy):
    """As published, and frames of long ago are attended beside the prompted ones, without a time code.

    Attributes:
        most_long_ago: So many frames of long ago at most.
        gap: Frames between two of them at first.
        share: Such a frame's predicted IoU is at least this share of the object's usual one.
    """

    most_long_ago: int = 64
    gap: int = 5
    share: float = 1.0

    @property
    def most_anchors(self) -> int:
        return self.most_long_ago

    def keep(self, track: ObjectTrack, known: KnownFrame, rivals: Array) -> tuple[int, ...]:
        anchors = anchors_before(track, known.frame, backward=known.backward)
        due = not anchors or abs(known.frame - anchors[-1]) >= self.gap
        if not due or not seen_well(track, known, self.share, self.window):
            return anchors
        if len(anchors) < self.most_anchors:
            return (*anchors, known.frame)
        past = [*(track.known(frame) for frame in anchors), known]
        pointers = np.stack([to_numpy(one.pointer) for one in past if one is not None and one.pointer is not None])
        spare = most_spare([*anchors, known.frame], pointers)
        return tuple(f for n, f in enumerate((*anchors, known.frame)) if n != spare)

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        recall = super().recall(track, frame, backward=backward)
        return with_anchors(recall, frame, anchors_before(track, frame, backward=backward), self.options)


def seen_well(track: ObjectTrack, known: FrameStats, share: float, count: int) -> bool:
    """Whether the object is in a new frame, with at least this share of its usual score: the median of the model's own
    scores on anchors and on the `count` frames behind. What a score of 0.8 means differs from model to model; this does
    not."""
    frames = {
        *recently_tracked(track, known.frame, count, backward=known.backward),
        *anchors_before(track, known.frame, backward=known.backward),
    }
    scores = [past.iou for past in map(track.stats, frames) if past is not None]
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


def most_spare(frames: list[int], pointers: NDArray[np.float32]) -> int:
    """Which of some frames is missed least: near its neighbours in time, and its pointer like theirs. The first and the
    last are never spared.

    Args:
        frames: Their numbers, in the order in which they came.
        pointers: (N, C) the object's pointers on them.
    """
    unit = pointers / np.linalg.norm(pointers, axis=1, keepdims=True).clip(1e-8)
    unlike = 1 - (unit[1:] * unit[:-1]).sum(axis=1)
    alone = (unlike[1:] + unlike[:-1]).tolist()
    missed = [abs(frames[n + 2] - frames[n]) * (alone[n] + 1e-3) for n in range(len(alone))]
    return 1 + missed.index(min(missed))
