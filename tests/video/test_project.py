"""What a file without scores and memories says of a frame: its probability as a logit, and the way it was followed."""

from __future__ import annotations

import math

import pytest

from masklet.video.events import Event, Followed
from masklet.video.project import logit, went_backward


@pytest.mark.parametrize("probability", [1e-9, 0.02, 0.5, 0.7, 0.999])
def test_a_probability_comes_back(probability: float) -> None:
    assert 1 / (1 + math.exp(-logit(probability))) == pytest.approx(probability)


@pytest.mark.parametrize(("probability", "expected"), [(0.0, -32), (1.0, 32), (1e-300, -32)])
def test_certainty_has_an_end(probability: float, expected: float) -> None:
    assert logit(probability) == expected


def test_the_last_pass_over_a_frame_counts() -> None:
    """Of this object, or of all; a frame that no pass came to was followed forward."""
    log: list[Event] = [Followed(9, 0, True, None), Followed(4, 6, False, "a"), Followed(2, 0, True, "b")]
    assert [went_backward(log, "a", frame) for frame in (0, 3, 4, 6, 7, 9, 10)] == [1, 1, 0, 0, 1, 1, 0]
    assert went_backward(log, "b", 5)
    assert not went_backward([], "a", 5)
