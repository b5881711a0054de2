"""What a file holds of what was undone; and of a frame of which it has no scores and memories."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.engines.fake import FakeEngine
from masklet.prompts import ObjectId
from masklet.video import VideoTracker
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


def two_squares() -> list[NDArray[np.uint8]]:
    images = [np.zeros((48, 64, 3), np.uint8) for _ in range(6)]
    for image in images:
        image[4:20, 4:20], image[24:40, 40:56] = (220, 40, 40), (40, 40, 220)
    return images


def known(tracker: VideoTracker) -> list[list[ObjectId]]:
    """The objects of each frame."""
    return [list(tracker.result(frame).objects) for frame in range(6)]


def test_undo_after_opening_though_the_file_left_frames_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that lost too many frames are not in the file; they are done again when they are undone."""
    monkeypatch.setattr("masklet.video.journal.MAX_LOST", 3)
    images = two_squares()
    states = []
    with VideoTracker(images, FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="a", box=(4, 4, 20, 20))
        tracker.add_box(frame=0, object="b", box=(40, 24, 56, 40))
        list(tracker.propagate())
        for name in ("a", "b"):
            states.append(known(tracker))
            tracker.remove(name)
        tracker.save(tmp_path / "clip.masklet")
    with VideoTracker.open(tmp_path / "clip.masklet", images, FakeEngine()) as tracker:
        for state in reversed(states):
            tracker.undo()
            assert known(tracker) == state


def test_each_undo_after_opening_takes_back_one_step_though_one_between_lost_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file holds the newest step, not the one before it, in which all frames went, and nothing older."""
    monkeypatch.setattr("masklet.video.journal.MAX_LOST", 3)
    images = two_squares()
    states = []
    with VideoTracker(images, FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="a", box=(4, 4, 20, 20))
        states.append(known(tracker))
        list(tracker.propagate())
        states.append(known(tracker))
        tracker.remove("a")
        states.append(known(tracker))
        tracker.add_box(frame=0, object="b", box=(40, 24, 56, 40))
        tracker.save(tmp_path / "clip.masklet")
    with VideoTracker.open(tmp_path / "clip.masklet", images, FakeEngine()) as tracker:
        for state in reversed(states):
            tracker.undo()
            assert known(tracker) == state
