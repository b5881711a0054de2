"""What policies with frames of long ago share: these are attended beside the prompted ones, without a time code."""

from __future__ import annotations

from dataclasses import dataclass

from masklet.video.policies.past import held_before
from masklet.video.policies.published import PublishedPolicy
from masklet.video.recall import Recall, with_anchors
from masklet.video.state import ObjectTrack


@dataclass(frozen=True)
class AnchoredPolicy(PublishedPolicy):
    """As published, and every frame that is held is attended too."""

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        anchors = held_before(track, frame, backward=backward)
        recall = super().recall(track, frame, backward=backward)
        return with_anchors(recall, frame, anchors, self.options, backward=backward)
