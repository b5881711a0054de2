"""When a person should look: each reason on masks that show it, and following that stops there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from masklet.checkpoints import Model
from masklet.engines.fake import FakeEngine
from masklet.video import VideoTracker
from masklet.video.review import ReviewReason, jumped, merged_pairs, with_doubts
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack, Tracks
from masklet.video.step import areas_and_boxes
from masklet.video.store import FrameStore, RecentFrames
from tests.conftest import GOLDEN, small_network


def entry(frame: int, mask: tuple[slice, slice] = np.s_[4:12, 4:12], **changes: float) -> KnownFrame:
    logits = torch.full((32, 32), -9.0)
    logits[mask] = 9.0
    (area, box) = areas_and_boxes(logits[None])[0]
    made = KnownFrame(
        frame, torch.zeros(1), torch.zeros(1), logits, iou=0.9, presence=4.0, attended=True, area=area, box=box
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def track(*entries: KnownFrame) -> ObjectTrack:
    tracked = RecentFrames(16)
    for one in entries:
        tracked = tracked.adding(one)
    return ObjectTrack(tracked)


def reasons(tracks: Tracks, frame: int) -> dict[ObjectId, ReviewReason]:
    found = {name: known for name, track in tracks.items() if (known := track.known(frame)) is not None}
    return {name: ReviewReason(known.doubt) for name, known in with_doubts(tracks, found).items() if known.doubt}


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (entry(1), None),
        (entry(1, np.s_[5:13, 6:14]), None),
        (entry(1, presence=-1.0), ReviewReason.PRESENCE_LOST),
        (entry(1, iou=0.3), ReviewReason.LOW_IOU),
        (entry(1, np.s_[20:28, 20:28]), ReviewReason.JUMP),
        (entry(1, np.s_[0:28, 0:28]), ReviewReason.JUMP),
    ],
)
def test_a_frame_beside_the_one_before(now: KnownFrame, reason: ReviewReason | None) -> None:
    assert reasons({1: track(entry(0), now)}, 1).get(1) == reason


def test_an_object_that_stays_away_is_told_once() -> None:
    away = track(entry(0), entry(1, presence=-2.0), entry(2, presence=-2.0))
    assert reasons({1: away}, 1) == {1: ReviewReason.PRESENCE_LOST}
    assert reasons({1: away}, 2) == {}


def test_two_objects_with_one_mask() -> None:
    one, other = track(entry(0), entry(1)), track(entry(0, np.s_[20:28, 20:28]), entry(1, np.s_[5:12, 5:12]))
    assert reasons({1: one, 2: other}, 1) == {1: ReviewReason.MERGING, 2: ReviewReason.JUMP}


def test_going_backward_the_frame_before_is_the_next_one() -> None:
    there, here = entry(5), entry(4, np.s_[20:28, 20:28], backward=True)
    assert reasons({1: track(there, here)}, 4) == {1: ReviewReason.JUMP}


def test_a_prompted_frame_is_never_in_doubt() -> None:
    said = dataclasses.replace(track(entry(0)), prompted={1: entry(1, iou=0.1)})
    assert reasons({1: said}, 1) == {}


@pytest.mark.parametrize(("before", "reason"), [(0.62, ReviewReason.LOW_IOU), (0.72, None)])
def test_doubt_adds_up_over_frames(before: float, reason: ReviewReason | None) -> None:
    """Nine frames, none of which is doubtful alone; far behind, the object was seen well."""
    long = track(*(entry(frame, iou=0.95) for frame in range(5)), *(entry(frame, iou=before) for frame in range(5, 14)))
    assert reasons({1: long}, 13).get(1) == reason
    assert reasons({1: long}, 6) == {}


def test_empty_masks() -> None:
    empty, some = entry(0, np.s_[0:0, 0:0]), entry(0)
    assert not jumped(empty, empty)
    assert jumped(empty, some)
    assert jumped(some, empty)
    assert not [*merged_pairs({1: empty, 2: some})]
    assert [*merged_pairs({1: some, 2: some})] == [(1, 2)]


@pytest.mark.parametrize(
    ("grown", "jumps"), [(np.s_[4:12, 4:26], False), (np.s_[4:12, 4:30], True), (np.s_[4:12, 4:7], False)]
)
def test_an_area_grows_threefold_at_most(grown: tuple[slice, slice], jumps: bool) -> None:
    """8 x 8 cells before; 8 x 22 are 2.75 times as many, 8 x 26 are 3.25 times; 8 x 3 are 0.375 times."""
    assert jumped(entry(1, grown), entry(0)) == jumps


@pytest.mark.parametrize(("shift", "jumps"), [(6, False), (7, True)])
def test_neighbours_overlap_by_a_tenth(shift: int, jumps: bool) -> None:
    """Of two squares of 8 x 8 cells: shifted by 6 the IoU is 16 / 112 = 0.14, by 7 it is 8 / 120 = 0.07."""
    assert jumped(entry(1, np.s_[4:12, 4 + shift : 12 + shift]), entry(0)) == jumps


@pytest.mark.parametrize(("shift", "merge"), [(2, True), (3, False)])
def test_objects_merge_from_seven_tenths_on(shift: int, merge: bool) -> None:
    """Of two squares of 8 x 8 cells, shifted by 2 cells, 0.75 is common; by 3 cells, 0.63."""
    one, other = entry(1), entry(1, np.s_[4:12, 4 + shift : 12 + shift])
    assert bool([*merged_pairs({1: one, 2: other})]) == merge


def test_of_a_hundred_objects_only_those_are_compared_whose_boxes_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("masklet.video.review.common_cells", lambda a, b: asked.append((a, b)) or 0)
    apart = {n: entry(1, np.s_[3 * (n // 10) : 3 * (n // 10) + 3, 3 * (n % 10) : 3 * (n % 10) + 3]) for n in range(100)}
    assert not [*merged_pairs(apart)]
    assert not asked


def test_doubts_are_kept_with_their_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither masks nor pictures are read to find them, also after opening a file; a prompt settles one."""
    model = Model("golden-small", small_network())
    clip = GOLDEN / "video/frames"
    with VideoTracker(clip, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(34, 52)])
        seen = {result.frame: result.needs_prompt for result in tracker.propagate() if result.needs_prompt}
        assert seen
        assert tracker.needs_prompt() == seen
        tracker.save(tmp_path / "a.masklet")
        first = next(iter(seen))
        tracker.add_points(frame=first, object=1, points=[(34, 52)])
        assert first not in tracker.needs_prompt()
    with VideoTracker.open(tmp_path / "a.masklet", clip, model) as tracker:
        monkeypatch.setattr(FrameStore, "get", None)
        assert tracker.needs_prompt() == seen


def test_masks_of_a_frame_come_without_its_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    with VideoTracker(GOLDEN / "video/frames", FakeEngine()) as tracker:
        tracker.add_points(frame=0, object=1, points=[(34, 52)])
        results = {result.frame: result for result in tracker.propagate(stop=4)}
        monkeypatch.setattr(tracker._reader, "find", None)
        for frame, result in results.items():
            found = tracker.masks(frame)
            assert (found.time, found.indices, found.image) == (result.time, result.indices, None)
            np.testing.assert_array_equal(found.masks[1], result.objects[1].mask)
        assert not tracker.masks(12).objects


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
