"""Only frames on which the object was seen well are recalled; where one is missing, the next further back serves.

    masklet track clip.mp4 --box 0:1:40,60,220,240 --policy examples.policies.quality:QualityPolicy --out a

Sources: the gated memory of SAM2Long (Ding et al., 2024) and the ablation of DAM4SAM (Videnovic et al., 2025), from
their descriptions.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from masklet.engines.arrays import Array
from masklet.video.policies import PublishedPolicy, anchors_before
from masklet.video.recall import Recall, published_recall
from masklet.video.state import FrameStats, KnownFrame, ObjectTrack


@dataclass(frozen=True)
class QualityPolicy(PublishedPolicy):
    """As published, but frames with an empty or doubtful mask are not recalled. The good ones are the anchors.

    Attributes:
        share: A frame is doubtful if its predicted IoU is below this share of the object's usual one, the median over
            the good frames.
    """

    share: float = 0.8

    @property
    def most_anchors(self) -> int:
        return self.options.pointers - 1

    def keep(self, track: ObjectTrack, known: KnownFrame, rivals: Array) -> tuple[int, ...]:
        anchors = anchors_before(track, known.frame, backward=known.backward)
        good = (known.frame,) if seen_well(track, known, anchors, self.share) else ()
        return (*anchors, *good)[-self.most_anchors :]

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        base = published_recall(frame, list(track.prompted), (), self.options, backward=backward)
        anchors = anchors_before(track, frame, backward=backward)
        near = anchors[-(self.options.slots - 1) :]
        return Recall(
            memories=(*base.memories, *near),
            slots=(*base.slots, *range(len(near) - 1, -1, -1)),  # the newest gets slot 0, whatever its distance
            pointers=(*base.pointers, *reversed(anchors)),
            ages=(*base.ages, *(abs(frame - f) for f in reversed(anchors))),
            longest=base.longest,
        )


def seen_well(track: ObjectTrack, known: FrameStats, anchors: tuple[int, ...], share: float) -> bool:
    """Whether the object is in a new frame, with at least this share of its usual score: the median of the model's own
    scores on the anchors. What a score of 0.8 means differs from model to model; this does not."""
    scores = [past.iou for past in map(track.stats, anchors) if past is not None]
    usual = statistics.median(scores) if scores else 0.0
    return known.presence > 0 and known.area > 0 and known.iou >= share * usual
