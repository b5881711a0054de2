"""Where objects of a volume end: a tracker goes on into what lies behind, so grey values say what is another thing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from masklet.errors import SessionError
from masklet.media.volume import VolumeSlices
from masklet.video.state import ObjectId, ObjectTrack
from masklet.video.tracker import VideoTracker

MAX_DEVIATION = 1.5
"""An object ends where the mean of its values differs from that on the prompted slice by so many standard deviations of
the values there."""

MIN_IOU = 0.5
"""It ends where the predicted intersection over union is lower, too."""


def mark_ends(tracker: VideoTracker) -> dict[ObjectId, list[tuple[int, int]]]:
    """Say of every object of a volume that it is absent beyond its ends, which are looked for outward from its prompted
    slices. That can be undone, and `unmark` takes it back.

        for _ in tracker.propagate(40, direction="both"):
            pass
        mark_ends(tracker)

    Args:
        tracker: Of a volume, after objects were followed.

    Returns:
        The first and last slices that were marked, by object.

    Raises:
        SessionError: The tracker's video is no volume.
    """
    source = tracker.source
    if not isinstance(source, VolumeSlices):
        raise SessionError("ends are found by the values of a volume, and this is none; give VolumeSlices")
    found: dict[ObjectId, list[tuple[int, int]]] = {}
    for name, track in list(tracker.tracks.items()):

        def inside(frame: int, name: ObjectId = name) -> NDArray[np.float32]:
            item = tracker.masks(frame).objects.get(name)
            return source.values(frame)[item.mask] if item is not None else np.zeros(0, np.float32)

        def iou(frame: int, track: ObjectTrack = track) -> float:
            return track.tracked[frame].iou

        known = sorted({*track.prompted, *track.tracked})
        found[name] = list(outside(sorted(track.prompted), known, inside, iou))
        for first, last in found[name]:
            tracker.mark_absent(name, first, last)
    return found


def outside(
    prompted: Sequence[int],
    known: Sequence[int],
    inside: Callable[[int], NDArray[np.float32]],
    iou: Callable[[int], float],
) -> Iterator[tuple[int, int]]:
    """The ranges of slices (first, last) in which an object is not: outward of the outer prompts, and between two.

    Args:
        prompted: Slices of which a person said where it is, in order.
        known: All slices with a mask, those of prompts among them, in order.
        inside: The values of the pixels in its mask on a slice.
        iou: The predicted intersection over union of that mask.
    """
    if not prompted:
        return

    def end(start: int, steps: Iterable[int]) -> int | None:
        """The first slice on the way from a prompted one on which the object is no more."""
        there = inside(start)
        if not len(there):
            return None
        mean, most = float(there.mean()), MAX_DEVIATION * max(float(there.std()), 1e-6)
        for frame in steps:
            here = inside(frame)
            if not len(here) or iou(frame) < MIN_IOU or abs(float(here.mean()) - mean) > most:
                return frame
        return None

    first_prompt, last_prompt = prompted[0], prompted[-1]
    if (first := end(first_prompt, [frame for frame in reversed(known) if frame < first_prompt])) is not None:
        yield known[0], first
    for one, two in pairwise(prompted):
        between = [frame for frame in known if one < frame < two]
        left, right = end(one, between), end(two, reversed(between))
        if left is not None and right is not None and left <= right:
            yield left, right
    if (last := end(last_prompt, [frame for frame in known if frame > last_prompt])) is not None:
        yield last, known[-1]
