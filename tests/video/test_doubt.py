"""When a person should look: each reason on masks that show it, and following that stops there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from masklet.checkpoints import Model
from masklet.video import VideoTracker
from masklet.video.doubt import Reason, jumped, reasons, shared
from masklet.video.state import MemoryEntry, ObjectTrack
from masklet.video.store import RecentEntries
from tests.conftest import GOLDEN, small_network


def entry(frame: int, mask: tuple[slice, slice] = np.s_[4:12, 4:12], **changes: float) -> MemoryEntry:
    logits = torch.full((32, 32), -9.0)
    logits[mask] = 9.0
    made = MemoryEntry(frame, torch.zeros(1), torch.zeros(1), logits, iou=0.9, presence=4.0, attended=True)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def track(*entries: MemoryEntry) -> ObjectTrack:
    tracked = RecentEntries(16)
    for one in entries:
        tracked = tracked.adding(one)
    return ObjectTrack(tracked)


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (entry(1), None),
        (entry(1, np.s_[5:13, 6:14]), None),
        (entry(1, presence=-1.0), Reason.PRESENCE_LOST),
        (entry(1, iou=0.3), Reason.LOW_IOU),
        (entry(1, np.s_[20:28, 20:28]), Reason.JUMP),
        (entry(1, np.s_[0:28, 0:28]), Reason.JUMP),
    ],
)
def test_a_frame_beside_the_one_before(now: MemoryEntry, reason: Reason | None) -> None:
    assert reasons({1: track(entry(0), now)}, 1).get(1) == reason


def test_an_object_that_stays_away_is_told_once() -> None:
    away = track(entry(0), entry(1, presence=-2.0), entry(2, presence=-2.0))
    assert reasons({1: away}, 1) == {1: Reason.PRESENCE_LOST}
    assert reasons({1: away}, 2) == {}


def test_two_objects_with_one_mask() -> None:
    one, other = track(entry(0), entry(1)), track(entry(0, np.s_[20:28, 20:28]), entry(1, np.s_[5:12, 5:12]))
    assert reasons({1: one, 2: other}, 1) == {1: Reason.MERGING, 2: Reason.JUMP}


def test_going_backward_the_frame_before_is_the_next_one() -> None:
    there, here = entry(5), entry(4, np.s_[20:28, 20:28], backward=True)
    assert reasons({1: track(there, here)}, 4) == {1: Reason.JUMP}


def test_a_prompted_frame_is_never_in_doubt() -> None:
    said = dataclasses.replace(track(entry(0)), prompted={1: entry(1, iou=0.1)})
    assert reasons({1: said}, 1) == {}


def test_empty_masks() -> None:
    empty, some = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    assert not jumped(empty, empty)
    assert jumped(empty, some)
    assert shared(empty, some) == 0.0
    assert shared(some, some) == 1.0


def test_following_stops_where_a_person_should_look() -> None:
    """The recorded object is lost on some frames; following ends with the first of them."""
    model = Model("golden-small", small_network())
    with VideoTracker(GOLDEN / "video/frames", model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(34, 52)])
        whole = list(tracker.propagate())
        doubtful = [result.frame for result in whole if result.needs_prompt]
        assert doubtful
        assert all(whole[f].objects[1].needs_prompt is not None for f in doubtful)
        stopped = list(tracker.propagate(stop_when_unsure=True))
    assert [result.frame for result in stopped] == list(range(doubtful[0] + 1))
