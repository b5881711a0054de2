"""Where the object should be decides between candidates that score alike, and between no others."""

from __future__ import annotations

import pytest
import torch

from examples.policies.motion import MotionPolicy
from masklet.nn import Decoded
from masklet.video.policies import PublishedPolicy
from masklet.video.state import KnownFrame, ObjectTrack
from tests.video.policies.entries import drawn, entry, follow

AHEAD, BACK = drawn(13, 4, 21, 12), drawn(1, 18, 9, 26)


def moving() -> list[KnownFrame]:
    """A box that goes one cell to the right with each frame; its scores vary by some hundredths."""
    return [entry(f, (4 + f, 4, 12 + f, 12), iou=0.85 + 0.02 * (f % 3)) for f in range(1, 9)]


def candidates(ahead: float, back: float) -> Decoded:
    """Four candidates: the second lies where the object should be, the third elsewhere."""
    logits = torch.stack([drawn(0, 0, 0, 0), AHEAD, BACK, drawn(0, 0, 0, 0)])[None]
    return Decoded(logits, torch.tensor([[0.9, ahead, back, 0.1]]), torch.zeros(1, 4, 4), torch.ones(1))


def chosen(decoded: Decoded, track: ObjectTrack, points: int = 0) -> int:
    choice = MotionPolicy().choose(decoded, torch.tensor([points]), [track], 9, backward=False)
    assert int(choice.masks) == int(choice.pointers)
    return int(choice.masks)


@pytest.mark.parametrize(("ahead", "back", "mask"), [(0.80, 0.81, 1), (0.81, 0.80, 1), (0.6, 0.8, 2)])
def test_motion_breaks_ties_only(ahead: float, back: float, mask: int) -> None:
    assert chosen(candidates(ahead, back), follow(MotionPolicy(), moving())) == mask


def test_a_person_is_not_overruled() -> None:
    assert chosen(candidates(0.80, 0.81), follow(MotionPolicy(), moving()), points=1) == 2


def test_with_few_sightings_it_is_the_published_choice() -> None:
    assert chosen(candidates(0.80, 0.81), follow(MotionPolicy(), moving()[:2])) == 2


def test_motion_that_told_wrong_counts_for_nothing() -> None:
    jumping = [entry(f, (4, 4, 12, 12) if f % 2 else (22, 22, 30, 30), iou=0.85 + 0.02 * (f % 3)) for f in range(1, 9)]
    assert MotionPolicy().trust(list(reversed(jumping))) < 0.1
    assert MotionPolicy().trust(list(reversed(moving()))) > 0.9


def test_motion_that_told_wrong_overrules_no_score() -> None:
    """The candidate lies exactly where the boxes lead, and would win if motion had told right before."""
    policy = MotionPolicy()
    jumping = [entry(f, (4, 4, 12, 12) if f % 2 else (22, 22, 30, 30), iou=0.85 + 0.02 * (f % 3)) for f in range(1, 9)]
    ahead = drawn(*(round(edge) for edge in policy.expected(list(reversed(jumping)), 9)))
    logits = torch.stack([drawn(0, 0, 0, 0), ahead, drawn(24, 0, 32, 4), drawn(0, 0, 0, 0)])[None]
    decoded = Decoded(logits, torch.tensor([[0.9, 0.80, 0.81, 0.1]]), torch.zeros(1, 4, 4), torch.ones(1))
    assert chosen(decoded, follow(policy, jumping)) == 2


def test_the_newest_frames_tell_most() -> None:
    """An object that stood, and has gone to the right for six frames, is expected ahead of where it is."""
    lefts = [4, 4, 4, 4, 5, 7, 9, 11, 13, 15]
    seen = [entry(f, (left, 4, left + 8, 12)) for f, left in enumerate(lefts, start=1)][::-1]
    assert 15 < MotionPolicy().expected(seen, 11)[0] <= 17
    assert MotionPolicy(fading=1.0).expected(seen, 11)[0] < 15


def test_recall_is_the_published_one() -> None:
    track = follow(MotionPolicy(), moving())
    ours, published = MotionPolicy(), PublishedPolicy()
    assert ours.recall(track, 9, backward=False) == published.recall(track, 9, backward=False)
