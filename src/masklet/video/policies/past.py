"""What lies behind a frame, in the direction in which the video is followed: stats, so that nothing is read from
files."""

from __future__ import annotations

from masklet.video.state import FrameStats, ObjectTrack


def before(track: ObjectTrack, frame: int, *, backward: bool) -> FrameStats | None:
    """The stats of the nearest known frame behind, or None."""
    near = track.stats(frame + 1 if backward else frame - 1)
    if near is not None:
        return near
    known = [f for f in (*track.prompted, *track.tracked) if (f > frame if backward else f < frame)]
    return track.stats(min(known) if backward else max(known)) if known else None


def anchors_before(track: ObjectTrack, frame: int, *, backward: bool) -> tuple[int, ...]:
    """The anchors of the nearest known frame behind that are still known and not prompted by now; oldest first."""
    near = before(track, frame, backward=backward)
    return tuple(f for f in near.anchors if is_tracked(track, f)) if near is not None else ()


def recent(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> list[FrameStats]:
    """What is known of the `count` frames behind, newest first."""
    behind = range(frame + 1, frame + 1 + count) if backward else range(frame - 1, frame - 1 - count, -1)
    stats = (track.stats(f) for f in behind)
    return [known for known in stats if known is not None]


def recently_tracked(track: ObjectTrack, frame: int, count: int, *, backward: bool) -> list[int]:
    """Which of the `count` frames behind the tracker answers for, and no person; newest first."""
    return [s.frame for s in recent(track, frame, count, backward=backward) if s.frame not in track.prompted]


def is_tracked(track: ObjectTrack, frame: int) -> bool:
    """Whether the tracker answers for a frame, and no person."""
    return frame not in track.prompted and frame in track.tracked
