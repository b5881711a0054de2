"""A correction helps or does nothing: what it may change, which answers stay, and what is computed at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masklet.engines.fake import FakeEngine
from masklet.errors import ConfigError
from masklet.nn import Decoded, Levels
from masklet.prompts import Prompt
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.edits import approved, tracked
from masklet.video.events import Cleared, Event, Followed, Merged, Prompted, Split, Swapped
from masklet.video.passes import LocalPropagation, Range, changeable_frames
from masklet.video.policies import Choice
from masklet.video.state import KnownFrame, ObjectTrack, with_span, within, without_span
from masklet.video.step import away_from_clicks, steadied
from masklet.video.store import RecentFrames
from tests.video.test_known_frames import CLIP

FRAMES = 24
CLICK = Prompt(points=((1.0, 1.0),), labels=(1,))


def entry(frame: int, *, iou: float = 0.8, backward: bool = False) -> KnownFrame:
    nothing = torch.zeros(1)
    return KnownFrame(
        frame, iou=iou, presence=9.0, attended=True, backward=backward, memory=nothing, pointer=nothing, logits=nothing
    )


def prompted_at(*frames: int) -> ObjectTrack:
    track = ObjectTrack(RecentFrames(window=1000))
    for frame in frames:
        track = approved(track, entry(frame))
    return track


spans_of = st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 20)), max_size=8)


@given(spans_of)
@settings(deadline=None)
def test_spans_are_sets_of_frames(changes: list[tuple[bool, int, int]]) -> None:
    spans, frames = (), set[int]()
    for adds, first, last in changes:
        spans = with_span(spans, first, last) if adds else without_span(spans, first, last)
        frames = frames | {*range(first, last + 1)} if adds else frames - {*range(first, last + 1)}
        assert {frame for frame in range(25) if within(frame, spans)} == frames
        assert sum(last - first + 1 for first, last in spans) == len(frames)  # no frame is in two


def test_a_prompt_speaks_up_to_its_neighbours() -> None:
    track = prompted_at(3, 10, 20)
    assert track.reach(10) == (4, 19)
    assert track.reach(3)[0] == 0
    assert track.reach(20)[1] > 10**9


def test_a_prompt_is_followed_away_from_it_and_once() -> None:
    track = prompted_at(0, 10, 20)
    events: list[Event] = [Prompted(0, 1, CLICK), Prompted(20, 1, CLICK), Followed(0, 40, False, None)]
    corrected = [*events, Prompted(10, 1, CLICK)]
    changes = changeable_frames(corrected, {1: track})[1]
    assert [frame for frame in range(41) if within(frame, changes.open[False])] == [*range(10, 20)]
    assert [frame for frame in range(41) if within(frame, changes.open[True])] == [*range(21)]
    assert not within(15, changes.fresh[False])
    assert within(25, changes.fresh[False])
    after = changeable_frames([*corrected, Followed(10, 14, False, None), Followed(9, 5, True, 2)], {1: track})[1]
    assert [frame for frame in range(41) if within(frame, after.open[False])] == [*range(15, 20)]
    assert within(7, after.open[True])  # the backward pass was of another object
    assert not within(7, after.fresh[False])


def test_what_came_of_a_cleared_prompt_is_taken_anew() -> None:
    track = prompted_at(0, 20)
    changes = changeable_frames([Prompted(10, 1, CLICK), Followed(0, 40, False, None), Cleared(10, 1)], {1: track})[1]
    assert [frame for frame in range(41) if within(frame, changes.void)] == [*range(1, 20)]


@pytest.mark.parametrize(
    ("event", "last"),
    [
        (Swapped(10, "a", "b"), 29),
        (Swapped(10, "b", "a"), 29),
        (Swapped(11, "a", "b"), 39),
        (Swapped(5, "b", "c"), 39),
        (Split(10, "a", "b"), 29),
        (Split(11, "a", "b"), 39),
        (Merged("a", "b"), 29),
        (Merged("c", "b"), 39),
    ],
)
def test_a_prompt_speaks_up_to_the_neighbours_in_the_object_that_has_its_frame_now(event: Event, last: int) -> None:
    tracks = {"a": prompted_at(10, 40), "b": prompted_at(10, 30)}
    changes = changeable_frames([Prompted(10, "a", CLICK), event], tracks).values()
    assert [f for f in range(60) if any(within(f, spans.open[False]) for spans in changes)] == [*range(10, last + 1)]


def going(track: ObjectTrack, events: list[Event], span: Range) -> LocalPropagation:
    return LocalPropagation(events, {1: track}, span, None)


def test_coming_from_a_correction_the_pass_ends_where_it_is_less_sure() -> None:
    """Prompts on 0 and 10. Of frames 1 to 9 going forward, frame 6 was surer than what comes back from 10."""
    track = prompted_at(0, 10)
    for frame in range(1, 10):
        track = tracked(track, entry(frame, iou=0.9 if frame == 6 else 0.5))
    events: list[Event] = [Prompted(0, 1, CLICK), Followed(0, 20, False, None), Prompted(10, 1, CLICK)]
    back, tracks = going(track, events, Range(10, None, backward=True)), {1: track}
    taken = []
    for frame in range(9, 0, -1):
        if back.moving(tracks, frame):
            taken.append(frame)
            tracks = back.joined(tracks, {1: entry(frame, iou=0.6, backward=True)})
    assert taken == [9, 8, 7, 6]
    assert [frame for frame in range(1, 10) if tracks[1].tracked[frame].backward] == [7, 8, 9]
    assert back.ends(tracks, 6, last=20)


@pytest.mark.parametrize(("iou", "taken"), [(0.61, True), (0.59, False)])
def test_beyond_a_correction_the_same_way_takes_the_place_of_what_went_through_the_wrong_frame(
    iou: float, taken: bool
) -> None:
    """But where it is much less sure: an earlier answer of 0.99, of which 0.6 is 0.594."""
    track = prompted_at(0, 10)
    track = tracked(tracked(track, entry(9, iou=0.99)), entry(11, iou=0.99))
    events: list[Event] = [Prompted(0, 1, CLICK), Followed(0, 20, False, None), Prompted(10, 1, CLICK)]
    forward = going(track, events, Range(0, None, backward=False))
    assert not forward.moving({1: track}, 9)
    assert forward.moving({1: track}, 11)
    new = entry(11, iou=iou)
    assert (forward.joined({1: track}, {1: new})[1].known(11) is new) == taken


@pytest.mark.parametrize(
    ("prompt", "iou", "taken"),
    [
        (CLICK, 0.79, True),
        (CLICK, 0.77, False),
        (Prompt(mask=np.ones((2, 2), bool)), 0.61, True),
        (None, 0.61, True),
        (None, 0.59, False),
    ],
)
def test_clicks_have_to_be_surer_than_the_other_side_and_a_given_or_locked_mask_as_sure(
    prompt: Prompt | None, iou: float, taken: bool
) -> None:
    """An earlier answer of 0.6 from the other side: 1.3 of it is 0.78."""
    track = tracked(prompted_at(0, 10), entry(9, iou=0.6))
    track = replace(track, prompts={} if prompt is None else {10: prompt})
    events: list[Event] = [Prompted(0, 1, CLICK), Followed(0, 20, False, None), Prompted(10, 1, prompt or CLICK)]
    back = going(track, events, Range(10, None, backward=True))
    assert back.moving({1: track}, 9)
    new = entry(9, iou=iou, backward=True)
    assert (back.joined({1: track}, {1: new})[1].known(9) is new) == taken


@pytest.mark.parametrize(("iou", "taken"), [(0.77, True), (0.75, False)])
def test_between_two_prompts_the_same_way_has_to_be_nearly_as_sure(iou: float, taken: bool) -> None:
    """An earlier answer of 0.8, found in the same direction: 0.76 is 0.95 of it."""
    track = tracked(prompted_at(0, 5, 10), entry(6))
    events: list[Event] = [Prompted(0, 1, CLICK), Prompted(10, 1, CLICK), Followed(0, 20, False, None)]
    forward = going(track, [*events, Prompted(5, 1, CLICK)], Range(5, None, backward=False))
    assert forward.moving({1: track}, 6)
    new = entry(6, iou=iou)
    assert (forward.joined({1: track}, {1: new})[1].known(6) is new) == taken
    assert bool(forward.moving({1: track}, 7)) or not taken


def test_two_passes_that_know_the_same_prompts_are_joined_by_trust() -> None:
    track = prompted_at(0, 10)
    for frame in range(1, 10):
        track = tracked(track, entry(frame, backward=True))
    events: list[Event] = [Prompted(0, 1, CLICK), Prompted(10, 1, CLICK), Followed(10, 0, True, None, True)]
    forward = going(track, events, Range(0, None, backward=False))
    tracks = {1: track}
    for frame in range(1, 10):
        assert forward.moving(tracks, frame)
        tracks = forward.joined(tracks, {1: entry(frame)})
    assert [frame for frame in range(1, 10) if not tracks[1].tracked[frame].backward] == [1, 2, 3, 4, 5]


class Counting(FakeEngine):
    """Counts the frames that are decoded."""

    decoded = 0

    def decode_masks(self, features, levels: Levels, prompts):  # type: ignore[no-untyped-def]
        Counting.decoded += 1
        return super().decode_masks(features, levels, prompts)


@pytest.fixture
def tracker() -> Iterator[VideoTracker]:
    Counting.decoded = 0
    with VideoTracker(CLIP[:FRAMES], Counting()) as tracker:
        yield tracker


def logits(tracker: VideoTracker) -> dict[int, np.ndarray]:
    return {frame: tracker.result(frame).objects[1].logits for frame in tracker.known_frames()}


def finish(tracker: VideoTracker, **options: object) -> list[int]:
    return [result.frame for result in tracker.propagate(**options)]  # type: ignore[arg-type]


click = st.tuples(st.integers(0, FRAMES - 1), st.integers(4, 58), st.integers(4, 42), st.booleans())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    clicks=st.lists(click, min_size=1, max_size=5),
    locks=st.lists(st.integers(0, FRAMES - 1), max_size=2),
    direction=st.sampled_from(["forward", "backward", "both"]),
    at_frame=st.booleans(),
)
def test_a_correction_changes_nothing_beyond_its_neighbours(
    clicks: list[tuple[int, int, int, bool]], locks: list[int], direction: str, at_frame: bool
) -> None:
    with VideoTracker(CLIP[:FRAMES], FakeEngine()) as tracker:
        tracker.add_box(frame=0, object=1, box=(4, 6, 18, 20))
        finish(tracker)
        for frame in locks:
            tracker.lock(frame)
        for frame, x, y, include in clicks:
            before = logits(tracker)
            answer = tracker.add_points(frame=frame, object=1, points=[(x, y)], labels=[int(include)])
            said = {f: tracker.result(f).objects[1].logits for f in tracker.tracks[1].prompted}
            low, last = answer.objects[1].reach or (frame, frame)
            high = FRAMES if last is None else last
            finish(tracker, direction=direction, start=frame if at_frame else None)
            after = logits(tracker)
            for f in before:
                if f in said:
                    np.testing.assert_array_equal(after[f], said[f])
                elif not low <= f <= high:
                    np.testing.assert_array_equal(after[f], before[f], err_msg=f"{f} of ({low}, {high})")


def test_what_no_prompt_asks_for_is_not_computed_again(tracker: VideoTracker) -> None:
    tracker.add_box(frame=0, object=1, box=(4, 6, 18, 20))
    assert finish(tracker) == [*range(FRAMES)]
    made = Counting.decoded
    assert finish(tracker) == [*range(FRAMES)]
    assert finish(tracker, resume=True) == []
    assert Counting.decoded == made
    tracker.add_points(frame=10, object=1, points=[(16, 18)])
    tracker.add_points(frame=14, object=1, points=[(17, 18)])
    made = Counting.decoded
    finish(tracker)
    assert Counting.decoded - made == FRAMES - 1 - 10 - 1  # frames 11 to 13, and from 15 on


def test_following_from_a_correction_ends_where_it_can_change_nothing(tracker: VideoTracker) -> None:
    tracker.add_box(frame=0, object=1, box=(4, 6, 18, 20))
    finish(tracker, direction="both")
    tracker.add_points(frame=6, object=1, points=[(14, 16)])
    finish(tracker, start=6, direction="both")
    tracker.add_points(frame=12, object=1, points=[(17, 18)])
    tracker.add_points(frame=9, object=1, points=[(15, 17)])
    came = finish(tracker, start=9, direction="both", only=1)
    assert min(came) >= 5
    last = next(event for event in reversed(tracker.events) if isinstance(event, Followed) and not event.backward)
    assert (last.first, last.last) == (9, FRAMES - 1)  # 12 was not followed yet


def test_a_correction_in_an_opened_session_is_the_same(tracker: VideoTracker, tmp_path: Path) -> None:
    tracker.add_box(frame=0, object=1, box=(4, 6, 18, 20))
    finish(tracker)
    tracker.add_points(frame=12, object=1, points=[(17, 18)])
    tracker.save(tmp_path / "a.masklet")
    with VideoTracker.open(tmp_path / "a.masklet", CLIP[:FRAMES], Counting()) as again:
        finish(again, start=12, direction="both")
        finish(tracker, start=12, direction="both")
        assert again.events == tracker.events
        for frame in tracker.known_frames():
            known, ours = tracker.result(frame).objects[1], again.result(frame).objects[1]
            assert (known.mask != ours.mask).mean() < 0.01


def candidates(*masks: tuple[slice, slice], presence: float = 5.0) -> Decoded:
    logits = torch.full((1, 4, 32, 32), -9.0)
    for number, mask in enumerate(masks):
        logits[0, number][mask] = 9.0
    return Decoded(logits, torch.full((1, 4), 0.5), torch.zeros(1, 4, 8), torch.tensor([presence]))


NOTHING, SQUARE, CUT, ALL = np.s_[0:0, 0:0], np.s_[8:24, 8:24], np.s_[8:24, 8:20], np.s_[0:32, 0:32]


@pytest.mark.parametrize(
    ("first", "presence", "chosen"),
    [(NOTHING, 5.0, 2), (ALL, 5.0, 2), (SQUARE, 5.0, 0), (np.s_[8:16, 8:24], 5.0, 0), (CUT, -5.0, 2)],
)
def test_a_click_neither_empties_nor_explodes_a_mask(first: tuple[slice, slice], presence: float, chosen: int) -> None:
    """A mask of 16 x 16 cells, excluded at its right edge. Candidate 2 keeps the most of it away from there."""
    decoded = candidates(first, NOTHING, SQUARE if chosen == 2 else NOTHING, ALL, presence=presence)
    known = replace(entry(0), logits=candidates(SQUARE).logits[0, 0], presence=4.0)
    click = Prompt(points=((22.0, 16.0),), labels=(0,))
    track = replace(tracked(prompted_at(), known), prompts={0: click})
    after, choice = steadied(decoded, Choice(torch.tensor([0]), torch.tensor([0])), [track], 0, (32, 32))
    assert choice.masks.tolist() == [chosen]
    assert after.presence.tolist() == [4.0 if presence < 0 else presence]


def test_away_from_a_click_is_half_a_radius_away() -> None:
    mask = np.zeros((32, 32), bool)
    mask[SQUARE] = 1  # as large as a disc with a radius of 9.03 cells
    away = away_from_clicks(Prompt(points=((32.0, 16.0),), labels=(0,)), (32, 64), mask)
    assert not away[16, 16]
    assert not away[16, 19]
    assert away[16, 21]
    assert away[11, 16]


def test_the_published_way_takes_every_frame_anew() -> None:
    with VideoTracker(CLIP[:FRAMES], Counting(), options=TrackingOptions(corrections="published")) as tracker:
        tracker.add_box(frame=0, object=1, box=(4, 6, 18, 20))
        finish(tracker)
        made = Counting.decoded
        finish(tracker)
        assert Counting.decoded - made == FRAMES - 1
    with pytest.raises(ConfigError, match="give 'local' or 'published'"):
        TrackingOptions(corrections="none")  # type: ignore[arg-type]


def test_what_a_correction_left_alone_stays_so_when_another_one_follows() -> None:
    """Each correction ends where its answers are less sure. The next one, beyond it, does not go on with it."""
    with VideoTracker(CLIP[:FRAMES], FakeEngine()) as tracker:
        tracker.add_box(frame=0, object=1, box=(4, 6, 18, 20))
        finish(tracker)
        for frame in (7, 0, 8):
            before = logits(tracker)
            tracker.add_points(frame=frame, object=1, points=[(4, 4)], labels=[0])
            finish(tracker, direction="both", start=frame)
        after = logits(tracker)
    for frame in range(8):
        np.testing.assert_array_equal(after[frame], before[frame], err_msg=str(frame))
