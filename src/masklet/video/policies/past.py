"""What lies behind a frame, in the direction in which the video is followed: sightings, so that nothing is read from
files."""

from __future__ import annotations

import statistics

from masklet.video.state import ObjectTrack, Sighting


def before(track: ObjectTrack, frame: int, *, backward: bool) -> Sighting | None:
    """The sighting on the nearest known frame behind, or None."""
    near = track.sighting(frame + 1 if backward else frame - 1)
    if near is not None:
        return near
    known = [f for f in (*track.prompted, *track.tracked) if (f > frame if backward else f < frame)]
    return track.sighting(min(known) if backward else max(known)) if known else None


def held_before(track: ObjectTrack, frame: int, *, backward: bool) -> tuple[int, ...]:
    """What the nearest known frame behind holds, as far as it is still known and not prompted by now; oldest first."""
    near = before(track, frame, backward=backward)
    return tuple(f for f in near.held if is_tracked(track, f)) if near is not None else ()


def recent(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> list[Sighting]:
    """What is known of the `count` frames behind, newest first."""
    behind = range(frame + 1, frame + 1 + count) if backward else range(frame - 1, frame - 1 - count, -1)
    seen = (track.sighting(f) for f in behind)
    return [sighting for sighting in seen if sighting is not None]


def remembered(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> list[int]:
    """Tracked frames that are remembered, of the `count` frames behind, newest first."""
    seen = recent(track, frame, count, backward=backward)
    return [s.frame for s in seen if s.remembered and is_tracked(track, s.frame)]


def is_tracked(track: ObjectTrack, frame: int) -> bool:
    """Whether the tracker answers for a frame, and no person."""
    return frame in track.tracked and frame not in track.prompted


def usual_iou(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> float:
    """The median of the model's own scores of this object, on frames that are held or among the `count` behind, as far
    as they are remembered; 0 if there is none. What a score of 0.8 means differs from model to model; this does not."""
    near = remembered(track, frame, count, backward=backward)
    frames = {*near, *held_before(track, frame, backward=backward)}
    scores = [seen.iou for seen in map(track.sighting, frames) if seen is not None]
    return statistics.median(scores) if scores else 0.0


def seen_well(track: ObjectTrack, entry: Sighting, share: float, count: int) -> bool:
    """Whether the object is in a new entry, with at least this share of its usual score."""
    usual = usual_iou(track, entry.frame, count, backward=entry.backward)
    return entry.presence > 0 and entry.area > 0 and entry.iou >= share * usual
