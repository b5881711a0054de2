"""What is left of passes that were stopped: the log of a session tells how far each of them came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from masklet.video.events import Event, Followed
from masklet.video.ranges import Range
from masklet.video.state import ObjectId


def remaining(passes: Sequence[Range], events: Sequence[Event], only: ObjectId | None = None) -> list[Range]:
    """What is left of passes that are made one after another.

    The last one that began goes on with the frame that it came to last, as only following tells whether the video has a
    next one; those before it are finished.
    """
    left: list[Range] = []
    for span in reversed(passes):
        last = reached(span, events, only)
        if last is None:
            left.append(span)
            continue
        if span.after(last) != span.end:
            left.append(replace(span, first=last))
        break
    return left[::-1]


def reached(span: Range, events: Sequence[Event], only: ObjectId | None = None) -> int | None:
    """The last frame that a pass came to without a gap, in one go or in several; None if it did not begin."""
    ahead = -1 if span.backward else 1
    steps = 0
    for event in events:
        match event:
            case Followed(first, last, span.backward, followed, span.apart) if followed == only:
                if (first - span.first) * ahead <= steps:
                    steps = max(steps, (last - span.first) * ahead + 1)
    return span.first + (steps - 1) * ahead if steps else None
