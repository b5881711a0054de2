"""The tracker with a deadline: what it drops, what it says, and that it follows the rest as a stream does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masklet
from masklet.engines.fake import FakeEngine
from masklet.errors import ConfigError, MediaError
from masklet.nn import Levels


@dataclass
class Clock:
    """A time that only steps of the network, and waiting for frames, take."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Slow(FakeEngine):
    """The fake engine, of which a frame takes time."""

    clock: Clock = field(default_factory=Clock)
    takes: float = 0.05

    def encode_image(self, images: object) -> Levels:
        self.clock.now += self.takes
        return super().encode_image(images)  # type: ignore[arg-type]


def picture(frame: int) -> np.ndarray:
    image = np.full((48, 64, 3), 20, np.uint8)
    image[10:30, 5 + frame % 30 : 25 + frame % 30] = (230, 200, 40)
    return image


def play(
    takes: float, deadline: float, pace: float, frames: int
) -> tuple[masklet.DeadlineTracker, list[tuple[int, float]], list[masklet.FrameResult]]:
    """Frames at a pace, offered as soon as the one before is done: those that were followed, with their latency."""
    clock = Clock()
    tracker = masklet.DeadlineTracker(Slow(clock=clock, takes=takes), deadline=deadline, clock=clock)
    followed, results = [], []
    for frame in range(frames):
        captured = frame * pace
        clock.now = max(clock.now, captured)
        result = tracker.offer(picture(frame), captured)
        if result is not None:
            followed.append((frame, clock.now - captured))
            results.append(result)
        if frame == 0:
            tracker.stream.add_box(object="a", box=(5, 10, 25, 30))
    return tracker, followed, results


def test_a_quick_machine_drops_nothing() -> None:
    tracker, followed, _ = play(takes=0.02, deadline=0.1, pace=0.04, frames=30)
    assert [frame for frame, _ in followed] == list(range(30))
    told = tracker.punctuality()
    assert (told.followed, told.dropped, told.late) == (30, 0, 0)
    assert told.median == pytest.approx(0.02)


@settings(deadline=None, max_examples=100)
@given(st.floats(0.01, 0.2), st.floats(0.02, 0.3), st.floats(0.01, 0.1))
def test_latency_is_bounded_however_slow_the_machine(takes: float, deadline: float, pace: float) -> None:
    """By the deadline or, where that cannot be kept, by a step of the newest frame; and the rest says so."""
    clock, followed = Clock(), list[tuple[int, float]]()
    tracker = masklet.DeadlineTracker(FakeEngine(), deadline=deadline, clock=clock)

    def step(_: object) -> str:
        clock.now += takes
        return "a result"

    tracker.stream.step = step  # type: ignore[method-assign, assignment]
    for frame in range(40):
        clock.now = max(clock.now, frame * pace)
        if tracker.offer(picture(0), frame * pace) is not None:
            followed.append((frame, clock.now - frame * pace))
    told = tracker.punctuality()
    assert told.followed + told.dropped == 40
    assert told.followed == len(followed)
    assert told.late == sum(latency > deadline for _, latency in followed)
    for _, latency in followed[2:]:  # the first are those by which the time of a step and the pace are known
        assert latency <= max(deadline, takes + pace) + 1e-9
    assert told.followed >= math.floor(40 * min(1.0, pace / takes) * 0.5)  # the machine is used


def test_what_is_followed_is_followed_as_in_a_stream() -> None:
    tracker, followed, results = play(takes=0.09, deadline=0.1, pace=0.03, frames=30)
    assert 0 < tracker.punctuality().dropped < 30
    stream = masklet.StreamTracker(FakeEngine())
    for number, ((frame, _), result) in enumerate(zip(followed, results, strict=True)):
        alone = stream.step(picture(frame))
        if number == 0:
            stream.add_box(object="a", box=(5, 10, 25, 30))
            continue
        assert (alone.objects["a"].mask == result.objects["a"].mask).all()
        assert alone.objects["a"].mask.any()
        assert result.time == pytest.approx(frame * 0.03)  # that of its capture


def test_without_times_of_capture_every_frame_is_new() -> None:
    clock = Clock()
    tracker = masklet.DeadlineTracker(Slow(clock=clock, takes=0.5), deadline=0.1, clock=clock)
    tracker.offer(picture(0))
    tracker.stream.add_box(object="a", box=(5, 10, 25, 30))
    assert all(tracker.offer(picture(frame)) is not None for frame in range(1, 6))
    assert (tracker.punctuality().dropped, tracker.punctuality().late) == (0, 5)


def test_bad_input_changes_nothing() -> None:
    for seconds in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="give seconds, more than 0"):
            masklet.DeadlineTracker(FakeEngine(), deadline=seconds)
    tracker = masklet.DeadlineTracker(FakeEngine(), deadline=1.0)
    tracker.offer(picture(0))
    with pytest.raises(MediaError, match="the stream began with"):
        tracker.offer(np.zeros((10, 10, 3), np.uint8))
    assert tracker.punctuality().followed == 1
