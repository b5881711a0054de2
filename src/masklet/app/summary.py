"""What a page shows of a session: objects with their prompts and strips, doubts, and the masks of a frame."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np

from masklet.formats.base import PlainFrame
from masklet.masks.draw import bright_color
from masklet.prompts import Prompt
from masklet.video import FrameResult, VideoTracker
from masklet.video.events import Cleared, Described, Followed, Locked, Prompted, Removed
from masklet.video.result import ObjectResult, plain_frame, probability
from masklet.video.review import DOUBTFUL_IOU, ReviewReason, review_reasons
from masklet.video.state import FrameStats, ObjectId, ObjectTrack, Tracks

STATES = {"unknown": 0, "absent": 1, "uncertain": 2, "visible": 3}
"""The lowest two bits of a cell of a strip."""

PROMPTED, LOCKED, DOUBTED, CUT = 4, 8, 16, 32
"""Its other bits."""

GRAVEST = (
    ReviewReason.PRESENCE_LOST,
    ReviewReason.SCENE_CUT,
    ReviewReason.MERGING,
    ReviewReason.JUMP,
    ReviewReason.LOW_IOU,
)
"""Reasons of doubt, the gravest first."""


class Doubts:
    """The reasons to look at frames. What was found for a frame is kept while nothing changed in it and beside it."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[tuple[object, ...], dict[ObjectId, ReviewReason]]] = {}

    def of(self, tracks: Tracks, frame: int) -> dict[ObjectId, ReviewReason]:
        """Why objects need a prompt on a frame."""
        made_of = tuple(
            part
            for name, track in tracks.items()
            for part in (name, *(track.stats(f) for f in (frame - 1, frame, frame + 1)), frame in track.prompted)
        )
        if (kept := self._kept.get(frame)) is None or kept[0] != made_of:
            self._kept[frame] = kept = made_of, review_reasons(tracks, frame)
        return kept[1]


def state_of(stats: FrameStats) -> str:
    """visible, uncertain or absent, as `ObjectResult.state` has it."""
    if probability(stats.presence) <= 0.5:
        return "absent"
    return "visible" if stats.iou >= DOUBTFUL_IOU else "uncertain"


def color_of(track: ObjectTrack) -> str:
    """The colour of an object, as CSS writes it."""
    return track.description.colour or "#{:02x}{:02x}{:02x}".format(*bright_color(track.number))


def objects(tracker: VideoTracker, doubts: Doubts, frames: int) -> list[dict[str, Any]]:
    """All objects, each with its prompts and its strips: a byte a frame for the state, and one for the predicted IoU
    (0..255), in base64."""
    return [
        {
            "name": name,
            "number": track.number,
            "color": color_of(track),
            "title": track.description.title,
            "category": track.description.category,
            "prompts": {str(frame): prompt_to_json(prompt) for frame, prompt in track.prompts.items()},
            **strips(tracker.tracks, name, doubts, frames),
        }
        for name, track in tracker.tracks.items()
    ]


def strips(tracks: Tracks, name: ObjectId, doubts: Doubts, frames: int) -> dict[str, str]:
    """The two strips of an object."""
    track = tracks[name]
    known = sorted({*track.prompted, *track.tracked})
    cells, ious = (np.zeros(max(frames, known[-1] + 1 if known else 0), np.uint8) for _ in range(2))
    for frame in known:
        stats = track.stats(frame)
        assert stats is not None, "the frame is known"
        reason = doubts.of(tracks, frame).get(name)
        cells[frame] = cell(track, stats, reason)
        ious[frame] = round(255 * max(0.0, min(1.0, stats.iou)))
    return {"cells": base64.b64encode(cells.tobytes()).decode(), "ious": base64.b64encode(ious.tobytes()).decode()}


def cell(track: ObjectTrack, stats: FrameStats, reason: ReviewReason | None) -> int:
    """The byte of a frame in an object's strip."""
    prompted = stats.frame in track.prompts
    locked = stats.frame in track.prompted and not prompted
    doubted = reason is not None
    return STATES[state_of(stats)] | PROMPTED * prompted | LOCKED * locked | DOUBTED * doubted | CUT * stats.cut


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """What a page draws of a prompt."""
    return {
        "points": prompt.points,
        "labels": prompt.labels,
        "box": prompt.box,
        "mask": prompt.mask is not None,
    }


def queue(tracks: Tracks, doubts: Doubts) -> list[dict[str, Any]]:
    """What a person should look at, the gravest first: of frames in a row with the same doubt, the first one."""
    found = [
        {"frame": frame, "object": name, "reason": str(reason), "grave": GRAVEST.index(reason)}
        for name in tracks
        for frame, reason in onsets(tracks, name, doubts)
    ]
    return sorted(found, key=lambda item: (item["grave"], item["frame"]))


def onsets(tracks: Tracks, name: ObjectId, doubts: Doubts) -> Iterator[tuple[int, ReviewReason]]:
    """The frames of an object with which a doubt begins."""
    last, before = -2, None
    for frame in sorted({*tracks[name].prompted, *tracks[name].tracked}):
        reason = doubts.of(tracks, frame).get(name)
        if reason is not None and (reason != before or frame != last + 1):
            yield frame, reason
        last, before = frame, reason


def told(event: object) -> str:
    """What an event was, in a few words, for the buttons that take it back."""
    match event:
        case Prompted(frame, name, prompt):
            kind = "mask" if prompt.mask is not None else "box" if prompt.box and not prompt.points else "click"
            return f"{kind} on {name}, frame {frame}"
        case Cleared(frame, name):
            return f"clearing {name}, frame {frame}"
        case Removed(name):
            return f"removing {name}"
        case Described(name):
            return f"describing {name}"
        case Locked(frame):
            return f"locking frame {frame}"
        case Followed(first, last):
            return f"following, frames {first} to {last}"
    return type(event).__name__.lower()


def frame_masks(tracker: VideoTracker, frame: int) -> PlainFrame:
    """What is known of all objects in a frame, without its picture."""
    return plain_frame(
        tracker.tracks, frame, tracker.times.get(frame, 0.0), tracker.size, tracker.options.non_overlapping
    )


def frame_head(tracker: VideoTracker, doubts: Doubts, found: FrameResult | PlainFrame) -> dict[str, Any]:
    """The head of a frame's message: what is known of each object there, but its mask."""
    reasons = doubts.of(tracker.tracks, found.frame)
    return {
        "frame": found.frame,
        "objects": [
            object_head(tracker.tracks[name], found.frame, item, reasons.get(name))
            for name, item in found.objects.items()
            if isinstance(item, ObjectResult)
        ],
    }


def object_head(track: ObjectTrack, frame: int, item: ObjectResult, reason: ReviewReason | None) -> dict[str, Any]:
    """One object of a frame."""
    stats = track.stats(frame)
    assert stats is not None, "the object is known there"
    return {
        "name": item.name,
        "number": track.number,
        "state": item.state,
        "iou": round(item.iou, 4),
        "presence": round(item.presence, 4),
        "reason": None if reason is None else str(reason),
        "cell": cell(track, stats, reason),
    }
