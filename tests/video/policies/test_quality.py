"""Doubtful frames are passed over, and what lies further back serves."""

from __future__ import annotations

import pytest

from examples.policies.quality import QualityPolicy
from tests.video.policies.entries import entry, follow


def test_good_frames_are_recalled_as_published() -> None:
    policy = QualityPolicy()
    track = follow(policy, [entry(f) for f in range(1, 10)])
    recall = policy.recall(track, 10, backward=False)
    assert recall.memories == (0, 4, 5, 6, 7, 8, 9)
    assert recall.slots == (6, 5, 4, 3, 2, 1, 0)
    assert recall.pointers == (0, 9, 8, 7, 6, 5, 4, 3, 2, 1)
    assert recall.ages == (10, 1, 2, 3, 4, 5, 6, 7, 8, 9)


@pytest.mark.parametrize("doubtful", [{"iou": 0.5}, {"presence": -1.0}, {"box": (0, 0, 0, 0)}])
def test_a_doubtful_frame_is_passed_over(doubtful: dict[str, object]) -> None:
    policy = QualityPolicy()
    track = follow(policy, [entry(f, **(doubtful if f in (5, 8) else {})) for f in range(1, 10)])  # type: ignore[arg-type]
    recall = policy.recall(track, 10, backward=False)
    assert recall.memories == (0, 2, 3, 4, 6, 7, 9)
    assert recall.slots == (6, 5, 4, 3, 2, 1, 0)
    assert not {5, 8} & {*recall.pointers}


def test_scores_count_beside_the_objects_usual_ones() -> None:
    """A model that never says more than 0.3 is not always in doubt."""
    policy = QualityPolicy()
    track = follow(policy, [entry(f, iou=0.3 if f != 4 else 0.2) for f in range(1, 8)])
    assert [f for f in range(1, 8) if f in track.tracked[7].anchors] == [1, 2, 3, 5, 6, 7]


def test_an_object_that_was_away_for_long_is_still_known() -> None:
    policy = QualityPolicy()
    away = [entry(f, presence=-3.0) for f in range(8, 100)]
    track = follow(policy, [*(entry(f) for f in range(1, 8)), *away])
    assert policy.recall(track, 100, backward=False).memories == (0, 2, 3, 4, 5, 6, 7)
    assert len(track.tracked) <= policy.window + policy.most_anchors


def test_backward_is_forward_in_a_mirror() -> None:
    policy = QualityPolicy()
    scores = {3: 0.1, 6: 0.2}
    forward = follow(policy, [entry(f, iou=scores.get(f, 0.9)) for f in range(1, 10)])
    backward = follow(policy, [entry(-f, iou=scores.get(f, 0.9), backward=True) for f in range(1, 10)])
    ours, mirrored = policy.recall(forward, 10, backward=False), policy.recall(backward, -10, backward=True)
    assert mirrored.memories == tuple(-f for f in ours.memories)
    assert (mirrored.slots, mirrored.ages) == (ours.slots, ours.ages)
