"""What is left of stopped passes, on frame numbers only."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from masklet.video.edits import tracked
from masklet.video.events import Event, Followed, Locked
from masklet.video.passes import LocalPropagation, PublishedPropagation, Range
from tests.video.test_corrections import entry, prompted_at

FORWARD, BACKWARD = Range(2, None, backward=False), Range(9, None, backward=True)
BOTH = [Range(9, None, backward=True, apart=True), Range(2, None, backward=False, apart=True)]


def remaining(spans: list[Range], log: list[Event]) -> list[Range]:
    left = (PublishedPropagation(log, span).remaining({}, None) for span in spans)
    return [span for span in left if span is not None]


def ahead(first: int, last: int, *, only: int | None = None, apart: bool = False) -> Followed:
    return Followed(first, last, last < first, only, apart)


@pytest.mark.parametrize(
    ("log", "begins"),
    [
        ([], 2),
        ([ahead(2, 5)], 5),
        ([ahead(2, 5), Locked(3), ahead(6, 8)], 8),
        ([ahead(2, 5), ahead(5, 7)], 7),
        ([ahead(2, 5), ahead(7, 12)], 5),  # a gap
        ([ahead(4, 9)], 2),  # not from the beginning
        ([ahead(2, 9, only=1)], 2),
        ([ahead(9, 0)], 2),
    ],
)
def test_one_pass_goes_on_where_it_was_without_a_gap(log: list[Event], begins: int) -> None:
    assert remaining([FORWARD], log) == [Range(begins, None, backward=False)]


def test_an_end_that_is_known_is_an_end() -> None:
    assert remaining([BACKWARD], [ahead(9, 4)]) == [Range(4, None, backward=True)]
    assert remaining([BACKWARD], [ahead(9, 4), ahead(3, 0)]) == []
    assert remaining([Range(2, 6, backward=False)], [ahead(2, 5)]) == []
    assert remaining([Range(9, 3, backward=True)], [ahead(9, 4)]) == []


def test_of_both_passes_the_second_waits_for_the_first() -> None:
    back, onward = BOTH
    assert remaining(BOTH, []) == BOTH
    assert remaining(BOTH, [ahead(9, 4, apart=True)]) == [Range(4, None, backward=True, apart=True), onward]
    assert remaining(BOTH, [ahead(9, 0, apart=True)]) == [onward]
    stopped = [ahead(9, 0, apart=True), ahead(2, 6, apart=True)]
    assert remaining(BOTH, stopped) == [Range(6, None, backward=False, apart=True)]
    assert remaining([FORWARD], stopped) == [FORWARD]
    assert back in remaining(BOTH, [ahead(9, 4)])  # of another kind


@pytest.mark.parametrize(
    ("span", "came", "last", "left"),
    [
        (Range(2, None, backward=False), 5, None, 5),
        (Range(2, None, backward=False), 5, 6, 5),
        (Range(2, None, backward=False), 5, 5, None),
        (Range(2, 6, backward=False), 5, None, None),
        (Range(2, 7, backward=False), 5, None, 5),
        (Range(4, None, backward=False), 3, None, 4),
        (Range(2, None, backward=True), 1, None, 1),
        (Range(2, None, backward=True), 0, None, None),
    ],
)
def test_where_corrections_are_local_a_pass_goes_on_before_the_first_frame_that_may_change(
    span: Range, came: int, last: int | None, left: int | None
) -> None:
    track = prompted_at(2)
    for frame in range(min(2, came), max(2, came) + 1):
        if frame != 2:
            track = tracked(track, entry(frame, backward=span.backward))
    log: list[Event] = [Followed(2, came, span.backward)]
    found = LocalPropagation(log, {1: track}, span, None).remaining({1: track}, last)
    assert found == (None if left is None else Range(left, span.stop, span.backward))


@given(st.integers(0, 20), st.none() | st.integers(0, 20), st.booleans(), st.integers(0, 20), st.integers(1, 20))
@settings(deadline=None)
def test_the_part_of_a_pass_inside_some_frames_has_those_of_its_frames(
    first: int, stop: int | None, backward: bool, low: int, count: int
) -> None:
    assume(stop is None or (stop < first if backward else stop > first))
    span, frames = Range(first, stop, backward), range(low, low + count)

    def of(span: Range) -> list[int]:
        return [*range(span.first, 50 if span.end is None else span.end, span.ahead)]

    assert of(span.inside(frames)) == [frame for frame in of(span) if frame in frames]
