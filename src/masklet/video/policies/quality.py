"""Only frames on which the object was seen well are remembered; where one is missing, the next further back serves.

Sources: the gated memory of SAM2Long (Ding et al., 2024) and the ablation of DAM4SAM (Videnovic et al., 2025), from
their descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from masklet.video.policies.base import Kept
from masklet.video.policies.past import held_before, remembered, seen_well
from masklet.video.policies.published import PublishedPolicy
from masklet.video.recall import Recall, picked_recall
from masklet.video.state import MemoryEntry, ObjectTrack


@dataclass(frozen=True)
class QualityPolicy(PublishedPolicy):
    """As published, but frames with an empty or doubtful mask are not remembered.

    Attributes:
        share: A frame is doubtful if its predicted IoU is below this share of the object's usual one, the median over
            what is remembered.
    """

    share: float = 0.8

    @property
    def most_held(self) -> int:
        return self.options.slots - 1

    def keep(self, track: ObjectTrack, entry: MemoryEntry, rivals: Tensor) -> Kept:
        held = held_before(track, entry.frame, backward=entry.backward)
        if not seen_well(track, entry, self.share, self.window):
            return Kept(remembered=False, held=held)
        return Kept(remembered=True, held=(*held, entry.frame)[-self.most_held :])

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        held = held_before(track, frame, backward=backward)
        known = remembered(track, frame, self.window, backward=backward)
        pointed = [*known, *(f for f in reversed(held) if f not in known)][: self.options.pointers - 1]
        return picked_recall(frame, list(track.prompted), held, pointed, self.options, backward=backward)
