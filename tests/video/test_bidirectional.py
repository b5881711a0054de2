"""Both directions at once: what each pass may see, and which of two answers stays."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from masklet.engines.fake import FakeEngine
from masklet.video import VideoTracker
from masklet.video.edits import approved, tracked
from masklet.video.events import Followed
from masklet.video.passes import Range, joined, seen_by, trust
from masklet.video.state import KnownFrame, ObjectTrack
from masklet.video.store import RecentFrames
from tests.conftest import GOLDEN
from tests.video.test_session import known, run

CLIP = GOLDEN / "video/frames"


@pytest.fixture(scope="module")
def model() -> FakeEngine:
    return FakeEngine()


def entry(frame: int, *, iou: float = 0.8, presence: float = 9.0, backward: bool = False) -> KnownFrame:
    nothing = torch.zeros(1)
    return KnownFrame(frame, nothing, nothing, nothing, iou=iou, presence=presence, attended=True, backward=backward)


def prompted_at(*frames: int) -> ObjectTrack:
    track = ObjectTrack(RecentFrames(window=100))
    for frame in frames:
        track = approved(track, entry(frame))
    return track


def stays(track: ObjectTrack, backward: KnownFrame, forward: KnownFrame) -> str:
    """Which of two answers is left after both passes."""
    after = joined(joined({1: track}, {1: backward}), {1: forward})[1].known(forward.frame)
    return "backward" if after is backward else "forward"


def test_the_nearer_prompt_is_trusted_more() -> None:
    track = prompted_at(0, 20)
    assert stays(track, entry(3, backward=True), entry(3)) == "forward"
    assert stays(track, entry(17, backward=True), entry(17)) == "backward"


def test_of_several_prompts_behind_an_answer_the_nearest_counts() -> None:
    """Frame 7 lies 2 frames from the prompt on 5 and 4 from that on 11; the prompts on 0 and 20 are farther."""
    track = prompted_at(0, 5, 11, 20)
    assert trust(track, entry(7)) == pytest.approx(0.8 / 3, abs=1e-3)
    assert trust(track, entry(7, backward=True)) == pytest.approx(0.8 / 5, abs=1e-3)
    assert stays(track, entry(7, backward=True), entry(7)) == "forward"
    assert stays(track, entry(10, backward=True), entry(10)) == "backward"


def test_a_much_surer_answer_outweighs_distance() -> None:
    track = prompted_at(0, 20)
    assert stays(track, entry(9, backward=True), entry(9, iou=0.2)) == "backward"
    lost = entry(12, presence=-0.1)
    assert stays(track, entry(12, iou=0.5, backward=True), lost) == "backward"
    assert stays(track, entry(12, iou=0.3, presence=0.1, backward=True), entry(12, presence=-9.0)) == "forward"


def test_an_answer_without_a_prompt_behind_it_is_not_trusted() -> None:
    assert trust(prompted_at(5), entry(9, backward=True)) == 0
    assert trust(prompted_at(5), entry(5)) == pytest.approx(0.8, abs=1e-3)
    assert trust(prompted_at(5), entry(5, presence=-9.0)) == pytest.approx(1.0, abs=1e-3)


def test_a_pass_sees_only_what_was_found_its_own_way() -> None:
    track = prompted_at(10)
    for frame in (8, 9):
        track = tracked(track, entry(frame, backward=True))
    track = tracked(track, entry(11))
    for backward, seen in ((True, {8, 9, 10}), (False, {10, 11})):
        mine = seen_by(Range(10, None, backward, apart=True), {1: track})[1]
        assert {f for f in range(20) if mine.stats(f) is not None} == seen
        assert {f for f in range(20) if mine.known(f) is not None} == seen
        assert set(mine.prompted) == {10}


def test_going_forward_from_the_middle_does_not_look_at_what_was_found_backward(model: FakeEngine) -> None:
    """The same as a pass that never went backward."""
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=10, object=1, points=[(80, 60)])
        alone = run(tracker, stop=14)
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=10, object=1, points=[(80, 60)])
        run(tracker, stop=14, direction="both")
        for frame in range(10, 14):
            np.testing.assert_array_equal(tracker.result(frame).objects[1].logits, alone[frame].objects[1].logits)


def test_frames_between_prompts_come_twice_and_the_better_stays(model: FakeEngine) -> None:
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=2, object=1, points=[(80, 60)])
        tracker.add_points(frame=9, object=1, points=[(60, 50)])
        results = list(tracker.propagate(stop=12, direction="both"))
        assert [result.frame for result in results] == [*range(9, -1, -1), *range(2, 12)]
        first = {result.frame: result for result in results[:10]}
        last = {result.frame: result for result in results[10:]}
        between = {frame: tracker.tracks[1].tracked[frame] for frame in range(3, 9)}
        assert not between[3].backward
        assert between[8].backward
        for frame, kept in between.items():
            np.testing.assert_array_equal(last[frame].objects[1].logits, kept.logits)
            if kept.backward:
                np.testing.assert_array_equal(first[frame].objects[1].logits, kept.logits)
        assert [event.apart for event in tracker.events if isinstance(event, Followed)] == [True, True]
        with VideoTracker(CLIP, model) as again:
            again.replay(tracker.events)
            for frame, logits in known(again)[1].items():
                np.testing.assert_array_equal(logits, known(tracker)[1][frame])


def test_a_session_that_was_saved_between_the_passes_knows_what_was_found_backward(
    model: FakeEngine, tmp_path: Path
) -> None:
    def begun_at(tracker: VideoTracker) -> VideoTracker:
        tracker.add_points(frame=0, object=1, points=[(80, 60)])
        tracker.add_points(frame=19, object=1, points=[(60, 50)])
        return tracker

    with VideoTracker(CLIP, model) as tracker:
        whole = {result.frame: result for result in begun_at(tracker).propagate(direction="both")}
        assert tracker.tracks[1].tracked[18].backward
    with VideoTracker(CLIP, model) as tracker:
        list(islice(begun_at(tracker).propagate(direction="both"), 21))  # stopped at frame 0 of the second pass
        tracker.save(tmp_path / "part.masklet")
    with VideoTracker.open(tmp_path / "part.masklet", CLIP, model) as tracker:
        assert tracker.tracks[1].tracked[18].backward
        assert [result.frame for result in tracker.propagate(direction="both", resume=True)] == [*range(20)]
        for frame, result in whole.items():
            np.testing.assert_array_equal(tracker.result(frame).objects[1].mask, result.objects[1].mask)
