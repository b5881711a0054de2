"""Beside the recent frames, some of the whole video so far are remembered: spread over it, and unlike each other.

Source: whole frames in the manner of XMem's long-term memory (Cheng and Schwing, 2022), from its description; the rule
of what goes is our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from masklet.video.policies.anchored import AnchoredPolicy
from masklet.video.policies.base import Kept
from masklet.video.policies.past import held_before, seen_well
from masklet.video.state import MemoryEntry, ObjectTrack


@dataclass(frozen=True)
class LongPolicy(AnchoredPolicy):
    """As published, and frames of long ago are attended beside the prompted ones, without a time code.

    Attributes:
        most_held: So many frames of long ago at most.
        gap: Frames between two of them at first.
        share: Such a frame's predicted IoU is at least this share of the object's usual one.
    """

    most_held: int = 64
    gap: int = 5
    share: float = 1.0

    def keep(self, track: ObjectTrack, entry: MemoryEntry, rivals: Tensor) -> Kept:
        held = held_before(track, entry.frame, backward=entry.backward)
        due = not held or abs(entry.frame - held[-1]) >= self.gap
        if not due or not seen_well(track, entry, self.share, self.window):
            return Kept(remembered=True, held=held)
        if len(held) < self.most_held:
            return Kept(remembered=True, held=(*held, entry.frame))
        known = [track.entry(frame) for frame in held]
        pointers = torch.stack([*(past.pointer for past in known if past is not None), entry.pointer])
        spare = most_spare([*held, entry.frame], pointers)
        return Kept(remembered=True, held=tuple(f for n, f in enumerate((*held, entry.frame)) if n != spare))


def most_spare(frames: list[int], pointers: Tensor) -> int:
    """Which of some frames is missed least: near its neighbours in time, and its pointer like theirs. The first and the
    last are never spared.

    Args:
        frames: Their numbers, in the order in which they came.
        pointers: (N, C) the object's pointers on them.
    """
    unlike = 1 - F.cosine_similarity(pointers[1:], pointers[:-1], dim=1)
    alone = (unlike[1:] + unlike[:-1]).tolist()
    missed = [abs(frames[n + 2] - frames[n]) * (alone[n] + 1e-3) for n in range(len(alone))]
    return 1 + missed.index(min(missed))
