"""Two passes in both directions, joined so that no prompt counts twice.

Each pass attends prompted frames and its own frames, never those of the other pass: the other learned from prompts in
this one's future, which this one attends already. If both reach a frame, the better answer stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from masklet.video.result import probability
from masklet.video.session import tracked
from masklet.video.state import FrameStats, KnownFrame, ObjectId, ObjectTrack, Tracks


def one_way(track: ObjectTrack, *, backward: bool) -> ObjectTrack:
    """The object as a pass sees it: without what was found in the other direction."""
    return replace(track, one_way=backward)


def joined(tracks: Tracks, found: Mapping[ObjectId, KnownFrame]) -> Tracks:
    """With what one of the two passes found of objects in a frame.

    Going backward, which comes first, takes the frame anew. Going forward leaves what was found backward where that is
    better.
    """
    return {**tracks, **{name: better(tracks[name], entry) for name, entry in found.items()}}


def better(track: ObjectTrack, entry: KnownFrame) -> ObjectTrack:
    """The object with one more frame, or as it is where what was found backward is trusted more."""
    known = None if entry.backward else found_backward(track, entry.frame)
    if known is None or trust(track, known) <= trust(track, entry):
        return tracked(track, entry)
    return track


def found_backward(track: ObjectTrack, frame: int) -> FrameStats | None:
    """The frame as the backward pass found it; None if it did not come there."""
    stats = track.tracked.stats(frame)
    return stats if stats is not None and stats.backward else None


def trust(track: ObjectTrack, entry: FrameStats) -> float:
    """0..1: the model's certainty, divided by one more than the frames since the prompt from which it was followed."""
    ahead = [f - entry.frame if entry.backward else entry.frame - f for f in track.prompted]
    behind = [distance for distance in ahead if distance >= 0]
    if not behind:
        return 0.0
    return certainty(entry) / (1 + min(behind))


def certainty(entry: FrameStats) -> float:
    """0..1: how sure the model is. Of a visible object its presence times its predicted IoU, of an absent one the
    probability that it is not there."""
    presence = probability(entry.presence)
    return presence * entry.iou if presence > 0.5 else 1 - presence
