"""An anchor is written where the object is seen well and a look-alike is being considered, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from examples.policies.distractor import DistractorPolicy, lookalike
from tests.video.policies.entries import SIDE, drawn, entry, follow

ELSEWHERE = drawn(22, 22, 30, 30)[None]
WIDER = drawn(4, 4, 13, 13)[None]


def test_a_candidate_elsewhere_is_a_lookalike() -> None:
    assert lookalike(entry(1), ELSEWHERE, 0.7)
    assert lookalike(entry(1), torch.maximum(ELSEWHERE, drawn(4, 4, 12, 12)), 0.7)
    assert not lookalike(entry(1), WIDER, 0.7)
    assert not lookalike(entry(1), drawn(4, 4, 12, 12)[None], 0.7)
    assert not lookalike(entry(1), torch.full((2, SIDE, SIDE), -9.0), 0.7)


def test_anchors_are_recalled_without_a_time_code() -> None:
    policy = DistractorPolicy()
    track = follow(policy, [entry(f) for f in range(1, 40)], ELSEWHERE)
    assert track.tracked[39].anchors == (25, 31, 37)
    recall = policy.recall(track, 40, backward=False)
    assert recall.memories == (25, 31, 0, 34, 35, 36, 37, 38, 39)
    assert recall.slots == (6, 6, 6, 5, 4, 3, 2, 1, 0)


@pytest.mark.parametrize("unsure", [{"iou": 0.6}, {"box": (4, 4, 12, 16)}, {"presence": -1.0}, {"box": (0, 0, 0, 0)}])
def test_an_unsure_frame_is_no_anchor(unsure: dict[str, object]) -> None:
    policy = DistractorPolicy()
    sure = [entry(f) for f in range(1, 10)]
    track = follow(policy, sure)
    assert policy.keep(track, entry(10), ELSEWHERE) == (10,)
    doubtful = entry(10, **unsure)  # type: ignore[arg-type]
    assert policy.keep(track, doubtful, ELSEWHERE) == ()
    after = follow(policy, [*sure, doubtful])
    empty = doubtful.presence <= 0 or not doubtful.area
    assert (10 in policy.recall(after, 11, backward=False).memories) != empty


def test_without_a_lookalike_there_is_no_anchor() -> None:
    track = follow(DistractorPolicy(), [entry(f) for f in range(1, 30)], WIDER)
    assert track.tracked[29].anchors == ()


def test_the_usual_score_is_that_of_anchors_too() -> None:
    """An object that was away for as long as the window, and comes back in doubt, gets no anchor."""
    policy = DistractorPolicy()
    away = [entry(f, presence=-3.0, box=(0, 0, 0, 0)) for f in range(20, 20 + policy.window)]
    back = [entry(20 + policy.window + n, iou=0.4) for n in range(3)]
    track = follow(policy, [*(entry(f) for f in range(1, 20)), *away, *back], ELSEWHERE)
    assert max(track.tracked[back[-1].frame].anchors) < 20
