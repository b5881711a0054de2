"""What is noted of a new entry beside the others: whether the scene was cut, and whether it is remembered."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from masklet.video import cuts
from masklet.video.policies import MemoryPolicy
from masklet.video.policies.past import before
from masklet.video.state import MemoryEntry, ObjectTrack


def noted(
    entry: MemoryEntry, track: ObjectTrack, rivals: Tensor, policy: MemoryPolicy, *, pause_after_cut: bool
) -> MemoryEntry:
    """The entry with what the frames before it and the policy make of it.

    Args:
        entry: The new entry.
        track: What is known of the object without it.
        rivals: (R, S/4, S/4) logits of the candidates that were not chosen.
        policy: Decides what is remembered.
        pause_after_cut: Whether nothing is remembered after a scene cut until the object is surely seen again.
    """
    # A correction holds what the frame held before it.
    corrected = track.sighting(entry.frame) if entry.frame in track.prompts else None
    last = corrected or before(track, entry.frame, backward=entry.backward)
    held = last.held if last is not None else ()
    entry = replace(entry, cut=corrected.cut if corrected is not None else cuts.is_cut(track, entry))
    if entry.frame in track.prompts:
        return replace(entry, held=held)
    if pause_after_cut and cuts.pauses(track, entry):
        return replace(entry, paused=True, remembered=False, held=held)
    kept = policy.keep(track, entry, rivals)
    return replace(entry, remembered=kept.remembered, held=kept.held)
