"""What a page shows of a session: objects with their prompts and strips, doubts, and the masks of a frame."""

import base64
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from masklet.app import wire
from masklet.formats.base import PlainFrame
from masklet.masks.draw import bright_color
from masklet.prompts import Prompt
from masklet.video import FrameResult, VideoTracker
from masklet.video.events import Cleared, Described, Followed, Locked, Marked, Merged, Prompted, Removed, Split, Swapped
from masklet.video.result import ObjectResult, probability, state_of
from masklet.video.review import DOUBTFUL_IOU, ReviewReason
from masklet.video.state import FrameStats, ObjectId, ObjectTrack, Tracks, doubts, within

STATE_BITS = {"unknown": 0, "absent": 1, "uncertain": 2, "visible": 3}
"""The lowest two bits of a cell of a strip."""

PROMPTED, LOCKED, DOUBTED, CUT, ACCEPTED = 4, 8, 16, 32, 64
"""Its other bits."""

MARKS_IN_WORDS = {"accepted": "accepting", "absent": "absence of", None: "taking back what was said of"}
"""What is done by each mark, in words."""

GRAVEST_FIRST = (
    ReviewReason.PRESENCE_LOST,
    ReviewReason.SCENE_CUT,
    ReviewReason.MERGING,
    ReviewReason.JUMP,
    ReviewReason.LOW_IOU,
)
"""Reasons of doubt, the gravest first."""


class SessionSummary:
    """What a page shows of a session. Of objects that did not change it is not made again."""

    def __init__(self) -> None:
        self._made: dict[Callable[..., Any], dict[ObjectId, tuple[ObjectTrack, tuple[int, ...], Any]]] = {}

    def objects(self, tracker: VideoTracker, frames: int) -> list[dict[str, Any]]:
        """All objects, each with its prompts and strips: a byte a frame for the state, and one for the predicted IoU
        (0..255), in base64."""
        return self._each(object_of, tracker, frames)

    def queue(self, tracker: VideoTracker) -> list[dict[str, Any]]:
        """What a person should look at, the gravest first: of frames in a row with the same doubt, the first one."""
        found = [doubt for doubts in self._each(doubts_of, tracker) for doubt in doubts]
        return sorted(found, key=lambda item: (item["grave"], item["frame"]))

    def _each(self, make: Callable[..., Any], tracker: VideoTracker, *given: int) -> list[Any]:
        """What is made of each object."""
        before, made = self._made.get(make, {}), {}
        for name, track in tracker.tracks.items():
            known = before.get(name)
            if known is None or known[0] is not track or known[1] != given:
                known = track, given, make(name, track, *given)
            made[name] = known
        self._made[make] = made
        return [found for _, _, found in made.values()]


def object_of(name: ObjectId, track: ObjectTrack, frames: int) -> dict[str, Any]:
    """All that a page shows of an object but its masks."""
    return {**object_summary(name, track, track.prompts), **strips(track, frames)}


def object_summary(name: ObjectId, track: ObjectTrack, frames: Iterable[int]) -> dict[str, Any]:
    """What is said of an object, with the prompts on frames."""
    prompts = {str(frame): drawn_prompt(track.prompts[frame]) for frame in frames if frame in track.prompts}
    return {
        "name": name,
        "number": track.number,
        "color": track.description.colour or "#{:02x}{:02x}{:02x}".format(*bright_color(track.number)),
        "title": track.description.title,
        "category": track.description.category,
        "prompts": prompts,
    }


def strips(track: ObjectTrack, frames: int) -> dict[str, str]:
    """The two strips of an object."""
    found = track.tracked.columns()
    seen = np.flatnonzero((found["backward"] == track.one_way) | (track.one_way is None))
    places, presence, iou, doubt = (found[fact][seen] for fact in ("frame", "presence", "iou", "doubt"))
    said = {*track.prompted, *(frame for first, last in track.absent for frame in range(first, last + 1))}
    known = {frame: stats for frame in said if (stats := track.stats(frame)) is not None}
    last = max([*known, int(places.max(initial=-1))])
    cells, ious = (np.zeros(max(frames, 1 + last), np.uint8) for _ in range(2))
    state = np.where(iou >= DOUBTFUL_IOU, STATE_BITS["visible"], STATE_BITS["uncertain"])
    cells[places] = np.where(presence > 0, state, STATE_BITS["absent"]) | CUT * found["cut"][seen]
    ious[places] = np.rint(255 * iou.clip(0, 1))
    for first, end in track.accepted:
        cells[first : end + 1] |= np.where(cells[first : end + 1] & 3, ACCEPTED, 0).astype(np.uint8)
    doubted = [frame for frame in places[doubt.astype(bool)].tolist() if cells[frame] & 3 and not track.stands(frame)]
    cells[doubted] |= DOUBTED
    for frame, stats in known.items():  # what was said stands above what was tracked
        cells[frame] = cell(track, stats)
        ious[frame] = round(255 * max(0.0, min(1.0, stats.iou)))
    return {"cells": base64.b64encode(cells.tobytes()).decode(), "ious": base64.b64encode(ious.tobytes()).decode()}


def cell(track: ObjectTrack, stats: FrameStats) -> int:
    """The byte of a frame in an object's strip."""
    frame = stats.frame
    prompted = frame in track.prompts
    locked = (frame in track.prompted and not prompted) or track.is_absent(frame)
    marks = PROMPTED * prompted | LOCKED * locked | ACCEPTED * within(frame, track.accepted)
    state = STATE_BITS[state_of(probability(stats.presence), stats.iou)]
    return state | marks | DOUBTED * (bool(stats.doubt) and not track.stands(frame)) | CUT * stats.cut


def drawn_prompt(prompt: Prompt) -> dict[str, Any]:
    """What a page draws of a prompt."""
    return {"points": prompt.points, "labels": prompt.labels, "box": prompt.box, "mask": prompt.mask is not None}


def doubts_of(name: ObjectId, track: ObjectTrack) -> list[dict[str, Any]]:
    """The doubts of an object in the order of their frames, those in a row with the same reason once."""
    found: list[dict[str, Any]] = []
    last: tuple[int, str] | None = None
    for frame, reasons in doubts({name: track}).items():
        reason, grave = reasons[name], GRAVEST_FIRST.index(ReviewReason(reasons[name]))
        if last != (frame - 1, reason):
            found.append({"frame": frame, "object": name, "reason": reason, "grave": grave})
        last = frame, reason
    return found


def event_label(event: object) -> str:
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
        case Locked(frame, only):
            return f"locking frame {frame}" + ("" if only is None else f" of {only}")
        case Marked(name, first, last, mark):
            return f"{MARKS_IN_WORDS[mark]} {name}, frames {first} to {last}"
        case Swapped(frame, name, other):
            return f"swapping {name} and {other}, from frame {frame}"
        case Split(frame, name, new):
            return f"splitting {new} off {name}, from frame {frame}"
        case Merged(name, into):
            return f"merging {name} into {into}"
        case Followed(first, last):
            return f"following, frames {first} to {last}"
    return type(event).__name__.lower()


def frame_message(tracks: Tracks, found: FrameResult | PlainFrame, epoch: int) -> bytes:
    """The message of a frame: its masks, and what else is known of each object there."""
    items = [item for item in found.objects.values() if isinstance(item, ObjectResult)]
    heads = [object_head(tracks[item.name], found.frame, item) for item in items]
    head = {"type": "masks", "epoch": epoch, "frame": found.frame, "objects": heads}
    return wire.message(head, [item.mask for item in items])


def object_head(track: ObjectTrack, frame: int, item: ObjectResult) -> dict[str, Any]:
    """One object of a frame, without its mask."""
    stats = track.stats(frame)
    assert stats is not None, "the object is known there"
    return {
        "name": item.name,
        "number": track.number,
        "state": item.state,
        "iou": round(item.iou, 4),
        "presence": round(item.presence, 4),
        "reason": None if item.needs_prompt is None else str(item.needs_prompt),
        "cell": cell(track, stats),
    }
