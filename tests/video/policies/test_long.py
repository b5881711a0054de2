"""Frames of long ago: bounded, spread over the whole video, and unlike each other."""

from __future__ import annotations

import itertools

import numpy as np

from examples.policies.long import LongPolicy, most_spare
from tests.video.policies.entries import entry, follow


def test_held_frames_are_spread_over_the_whole_video() -> None:
    policy = LongPolicy(most_long_ago=8, gap=5)
    track = follow(policy, [entry(f) for f in range(1, 400)])
    held = track.tracked[399].anchors
    assert len(held) == 8
    assert held[0] == 1
    assert held[-1] > 390
    gaps = [b - a for a, b in itertools.pairwise(held)]
    assert max(gaps) < 400 / 2
    assert len(track.tracked) <= policy.window + policy.most_anchors


def test_they_are_recalled_beside_the_recent_ones() -> None:
    policy = LongPolicy(most_long_ago=3, gap=5)
    track = follow(policy, [entry(f) for f in range(1, 40)])
    recall = policy.recall(track, 40, backward=False)
    assert recall.memories[-7:] == (0, 34, 35, 36, 37, 38, 39)
    assert set(recall.memories[:-7]) <= {*track.tracked[39].anchors}
    assert set(recall.slots[:-6]) == {6}


def test_what_looks_like_its_neighbours_goes_first() -> None:
    pointers = np.eye(4)[[0, 0, 0, 1, 2]]
    assert most_spare([0, 10, 20, 30, 40], pointers) == 1
    pointers = np.eye(4)[[0, 1, 2, 2, 2]]
    assert most_spare([0, 10, 20, 30, 40], pointers) == 3


def test_doubtful_frames_are_not_held() -> None:
    track = follow(LongPolicy(gap=5), [entry(f, iou=0.4 if 20 <= f < 27 else 0.9) for f in range(1, 40)])
    held = track.tracked[39].anchors
    assert max(held) > 27
    assert not {*held} & {*range(20, 27)}


def test_the_usual_score_is_that_of_long_ago_too() -> None:
    """A doubtful stretch as long as the window does not become the usual."""
    policy = LongPolicy(gap=5)
    good, doubtful = range(1, 100), range(100, 100 + policy.window)
    track = follow(policy, [entry(f, iou=0.9 if f in good else 0.4) for f in (*good, *doubtful)])
    assert max(track.tracked[doubtful[-1]].anchors) == 96
