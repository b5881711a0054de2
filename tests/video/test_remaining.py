"""What is left of stopped passes, on frame numbers only."""

from __future__ import annotations

import pytest

from masklet.video.events import Event, Followed, Locked
from masklet.video.passes import PublishedPropagation, Range

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
