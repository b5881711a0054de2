"""What a person says of whole ranges of frames, and of who is who. The clip shows two squares, one red and one blue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masklet.engines.fake import FakeEngine
from masklet.formats.project_file import read_project, spans_of
from masklet.video import VideoTracker
from masklet.video.edits import joined_absence, tracked
from masklet.video.state import spliced, with_span, within
from tests.video.test_bidirectional import entry, prompted_at
from tests.video.test_known_frames import CLIP, SIZE, begin, shown
from tests.video.test_session import run


@pytest.fixture
def tracker() -> Iterator[VideoTracker]:
    with VideoTracker(CLIP, FakeEngine()) as tracker:
        begin(tracker)
        yield tracker


def masks(tracker: VideoTracker, name: Any) -> dict[int, np.ndarray]:
    frames = {frame: tracker.masks(frame).masks for frame in tracker.known_frames()}
    return {frame: found[name] for frame, found in frames.items() if name in found}


def assert_equal(found: dict[int, np.ndarray], wanted: dict[int, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for frame, mask in wanted.items():
        np.testing.assert_array_equal(found[frame], mask, err_msg=f"frame {frame}")


def test_an_object_is_locked_alone(tracker: VideoTracker) -> None:
    tracker.lock(10, "a")
    assert [10 in track.prompted for track in tracker.tracks.values()] == [True, False]
    tracker.clear(10, "a")
    assert 10 not in tracker.tracks["a"].prompted


def test_where_it_is_said_to_be_absent_following_says_nothing_else(tracker: VideoTracker, tmp_path: Path) -> None:
    before = masks(tracker, "a")
    tracker.add_points(frame=12, object="a", points=[(14, 12)])
    tracker.mark_absent("a", 10, 20)
    for again in (False, True):
        result = tracker.result(15).objects["a"]
        assert (result.state, result.needs_prompt, result.mask.any()) == ("absent", None, False)
        assert 12 not in tracker.tracks["a"].prompts
        if not again:
            tracker.add_points(frame=30, object="a", points=[(22, 16)])
            run(tracker, direction="both")
    tracker.save(tmp_path / "clip.masklet")
    tracker.unmark("a", 10, 20)
    assert_equal({f: masks(tracker, "a")[f] for f in range(10, 20)}, {f: before[f] for f in range(10, 20)})
    with VideoTracker.open(tmp_path / "clip.masklet", CLIP, tracker.engine) as reopened:
        assert not any(masks(reopened, "a")[frame].any() for frame in range(10, 21))
        assert masks(reopened, "a")[21].any()
        reopened.add_points(frame=15, object="a", points=[(15, 12)])
        assert reopened.result(15).objects["a"].state == "visible"
        assert reopened.result(16).objects["a"].state == "absent"


def test_absent_frames_that_were_never_followed_are_exported(tmp_path: Path) -> None:
    with VideoTracker(CLIP, FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="a", box=(4, 6, 18, 20))
        run(tracker, stop=5)
        tracker.mark_absent("a", 5, 47)
        tracker.export(tmp_path / "masks", format="davis")
        assert len(list((tmp_path / "masks").iterdir())) == 48
    with VideoTracker(CLIP, FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="a", box=(4, 6, 18, 20))
        tracker.mark_absent("a", 5, 47)
        tracker.save(tmp_path / "a.masklet")
        assert read_project(tmp_path / "a.masklet").frames[40].time == tracker.result(40).time


def test_accepted_frames_stay_and_are_in_doubt_no_more(tracker: VideoTracker) -> None:
    before, other = masks(tracker, "a"), masks(tracker, "b")
    tracker.accept("a", 5, 20)
    tracker.add_mask(frame=2, object="a", mask=other[2])
    run(tracker, direction="both", start=2)
    assert_equal({f: masks(tracker, "a")[f] for f in range(5, 48)}, {f: before[f] for f in range(5, 48)})
    assert not np.array_equal(masks(tracker, "a")[1], before[1])  # what was not accepted follows the new mask
    assert not any(5 <= frame <= 20 for frame in tracker.needs_prompt())


def test_swapped_objects_have_what_the_other_had(tracker: VideoTracker) -> None:
    a, b = masks(tracker, "a"), masks(tracker, "b")
    tracker.lock(30, "b")
    tracker.swap(20, "a", "b")
    assert_equal(masks(tracker, "a"), {f: (a if f < 20 else b)[f] for f in a})
    assert_equal(masks(tracker, "b"), {f: (b if f < 20 else a)[f] for f in a})
    assert set(tracker.tracks["a"].prompted) == {0, 30}
    tracker.swap(20, "a", "b")
    assert_equal(masks(tracker, "a"), a)


def test_an_object_that_gives_its_only_prompt_away_is_locked_where_it_is_seen_nearest() -> None:
    with VideoTracker(CLIP[:30], FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="a", box=(4, 6, 18, 20))
        tracker.add_box(frame=25, object="b", box=(32, 28, 46, 42))
        tracker.swap(12, "a", "b")  # nothing is known there yet
        assert [list(track.prompts) for track in tracker.tracks.values()] == [[0, 25], []]
        tracker.undo()
        run(tracker)
        run(tracker, direction="backward", stop=8, only="b")
        tracker.swap(12, "a", "b")
        assert [list(track.prompted) for track in tracker.tracks.values()] == [[0, 25], [12]]


def test_where_one_part_of_a_merged_object_is_absent_and_the_other_not_seen_it_is_absent() -> None:
    one, two = replace(prompted_at(0), absent=((3, 6),)), prompted_at(0)
    for known in (entry(3), entry(4, presence=-9.0), entry(8, presence=-9.0)):
        one, two = tracked(one, known), tracked(two, known)
    one = tracked(one, entry(5))  # as it was tracked before it was said to be absent
    assert joined_absence(one, two, {0: None}) == ((4, 6),)


def test_a_split_object_goes_on_as_another(tracker: VideoTracker) -> None:
    a, b = masks(tracker, "a"), masks(tracker, "b")
    tracker.describe("a", title="the red one", category="square", attributes={"wet": True})
    tracker.split(20, "a", "c")
    assert_equal(masks(tracker, "a"), {f: mask for f, mask in a.items() if f < 20})
    assert_equal(masks(tracker, "c"), {f: mask for f, mask in a.items() if f >= 20})
    assert_equal(masks(tracker, "b"), b)
    assert list(tracker.tracks["c"].prompted) == [20]
    assert tracker.objects["c"].to_json() == {"category": "square", "attributes": {"wet": True}}
    assert [result.frame for result in tracker.propagate(30, only="c")] == [*range(30, 48)]
    tracker.merge("c", "a")
    assert_equal(masks(tracker, "a"), a)


def test_merged_objects_are_where_either_was(tracker: VideoTracker) -> None:
    a, b = masks(tracker, "a"), masks(tracker, "b")
    given = np.zeros(SIZE, bool)
    given[:4] = True
    tracker.add_mask(frame=7, object="b", mask=given)
    tracker.add_mask(frame=8, object="b", mask=np.zeros(SIZE, bool))
    tracker.mark_absent("a", 30, 40)
    tracker.merge("b", "a")
    assert list(tracker.tracks) == ["a"]
    both = masks(tracker, "a")
    np.testing.assert_array_equal(both[7], given)  # a person's word, beside what was tracked
    assert not both[8].any()
    for frame in (1, 20, 47):
        assert (both[frame] != (a[frame] | b[frame])).mean() < 0.01
    np.testing.assert_array_equal(both[35], b[35])  # one is absent, and the other is seen
    assert tracker.tracks["a"].prompts.keys() == {7, 8}  # both had one on frame 0: a lock in their place
    assert tracker.tracks["a"].prompted[0].memory is not None
    tracker.add_points(frame=25, object="a", points=[(30, 30)])
    assert len(run(tracker)) == 48


@pytest.mark.parametrize("after", ["swap", "split", "merge"])
def test_a_pass_after_it_changes_nothing_that_was_known(tracker: VideoTracker, after: str) -> None:
    calls = {"swap": (20, "a", "b"), "split": (20, "a", "c"), "merge": ("b", "a")}
    getattr(tracker, after)(*calls[after])
    before = shown(tracker)
    run(tracker, direction="both")
    for frame, objects in before.items():
        for name, item in objects.items():
            np.testing.assert_array_equal(tracker.masks(frame).masks[name], item.mask)


@given(st.sets(st.integers(0, 20)), st.integers(0, 21))
@settings(deadline=None)
def test_spans_are_parted(frames: set[int], frame: int) -> None:
    spans = spans_of(sorted(frames))
    assert {f for f in range(25) if within(f, spans)} == frames
    assert all(low > high + 1 for (_, high), (low, _) in pairwise(spans))
    before, after = spliced(spans, (), frame), spliced((), spans, frame)
    assert {f for f in range(25) if within(f, before)} == {f for f in frames if f < frame}
    assert {f for f in range(25) if within(f, after)} == {f for f in frames if f >= frame}
    assert within(30, with_span(after, 30, 31))
