"""What every policy keeps to: bounded, past only, batch = loop, stream = video, undo, save and open, the same twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from masklet.checkpoints import Model, build_model
from masklet.cli.choices import PolicyChoice
from masklet.errors import ConfigError
from masklet.media.source import open_video
from masklet.video import StreamTracker, TrackingOptions, VideoTracker
from masklet.video.policies import POLICIES, make_policy
from masklet.video.recall import Recall
from masklet.video.state import ObjectTrack
from tests.conftest import GOLDEN
from tests.video.test_session import TOY, assert_same, known, run

CLIP = GOLDEN / "video/frames"


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(TOY, seed=3)


EXAMPLES = {
    path.stem: f"examples.policies.{path.stem}:{name}"
    for path in sorted((Path(__file__).parents[3] / "examples/policies").glob("*.py"))
    for name in re.findall(r"^class (\w+Policy)\b", path.read_text(), re.MULTILINE)
}
"""One in each file."""


@pytest.fixture(params=[*POLICIES, *EXAMPLES.values()])
def options(request: pytest.FixtureRequest) -> TrackingOptions:
    return TrackingOptions(policy=request.param)


@pytest.fixture
def tracker(model: Model, options: TrackingOptions) -> Iterator[VideoTracker]:
    with VideoTracker(CLIP, model, options=options) as tracker:
        yield tracker


def prompt(tracker: VideoTracker, *objects: object) -> None:
    said = {"a": [(80, 60)], "b": [(20, 20)], "c": [(135, 27)]}
    for name in objects or said:
        tracker.add_points(frame=0, object=name, points=said[name])  # type: ignore[arg-type, index]


def images() -> list[np.ndarray]:
    with open_video(CLIP) as source:
        return [frame.image for frame in source]


def test_every_policy_is_in_the_help_or_in_the_documents() -> None:
    page = (Path(__file__).parents[3] / "docs/policies.md").read_text()
    assert all(f"| `{name}` |" in page for name in EXAMPLES)
    (told,) = PolicyChoice.__metadata__  # type: ignore[attr-defined]
    assert all(name in told.help for name in POLICIES)


def test_the_same_twice(tracker: VideoTracker) -> None:
    prompt(tracker)
    first = run(tracker)
    again = run(tracker)
    for frame, result in first.items():
        for name, seen in result.objects.items():
            np.testing.assert_array_equal(seen.logits, again[frame].objects[name].logits)


def test_objects_together_and_alone(model: Model, options: TrackingOptions, tracker: VideoTracker) -> None:
    prompt(tracker)
    run(tracker)
    for name in ("a", "b", "c"):
        with VideoTracker(CLIP, model, options=options) as alone:
            prompt(alone, name)
            run(alone)
            assert_same(known(alone), {name: known(tracker)[name]})


def test_a_stream_is_a_video_forward_in_bounded_memory(
    model: Model, options: TrackingOptions, tracker: VideoTracker
) -> None:
    stream = StreamTracker(model, options=options)
    most = stream.policy.window + stream.policy.most_anchors
    prompt(tracker, "a")
    tracker.add_box(frame=6, object="b", box=(28, 4, 74, 50))
    for expected, image in zip(tracker.propagate(), images(), strict=True):
        seen = stream.step(image)
        if expected.frame == 0:
            seen = stream.add_points(object="a", points=[(80, 60)])
        if expected.frame == 6:
            seen = stream.add_box(object="b", box=(28, 4, 74, 50))
        assert list(seen.objects) == list(expected.objects)
        for name, result in seen.objects.items():
            np.testing.assert_allclose(result.logits, expected.objects[name].logits, atol=1e-2, rtol=0)
    for image in images() * 2:
        stream.step(image)
        assert all(len(track.tracked) <= most for track in stream.tracks.values())


def test_a_frame_looks_at_the_past_and_at_anchors(model: Model, options: TrackingOptions) -> None:
    class Watched:
        """The policy, and what it recalled."""

        def __init__(self) -> None:
            self.policy = options.policy_for(model.config)
            self.seen: list[tuple[int, bool, ObjectTrack, Recall]] = []

        def __getattr__(self, name: str) -> object:
            return getattr(self.policy, name)

        def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
            found = self.policy.recall(track, frame, backward=backward)
            self.seen.append((frame, backward, track, found))
            return found

    watched = Watched()
    with VideoTracker(CLIP, model, options=TrackingOptions(policy=watched)) as tracker:  # type: ignore[arg-type]
        tracker.add_points(frame=8, object="a", points=[(80, 60)])
        for direction in ("forward", "backward", "forward"):
            run(tracker, direction=direction)
    assert watched.seen
    for frame, backward, track, found in watched.seen:
        looked_at = {*found.memories, *found.pointers} - {*track.prompted}
        assert all(f > frame if backward else f < frame for f in looked_at)
        assert len(found.memories) <= len(track.prompted) + model.config.memory_frames - 1 + watched.policy.most_anchors
        assert all(0 <= slot < model.config.memory_frames for slot in found.slots)
        assert len({*found.memories}) == len(found.memories) == len(found.slots)
        assert len({*found.pointers}) == len(found.pointers) == len(found.ages)


def test_undo_and_redo(tracker: VideoTracker) -> None:
    prompt(tracker, "a")
    run(tracker, stop=10)
    before = known(tracker)
    tracker.add_points(frame=4, object="a", points=[(20, 20)], labels=[0])
    run(tracker)
    after = known(tracker)
    tracker.undo()
    tracker.undo()
    assert_same(known(tracker), before)
    tracker.redo()
    tracker.redo()
    assert_same(known(tracker), after)


def test_a_reopened_session_goes_on_as_if_nothing_had_happened(
    model: Model, options: TrackingOptions, tracker: VideoTracker, tmp_path: Path
) -> None:
    prompt(tracker)
    run(tracker, stop=14)
    tracker.save(tmp_path / "clip.masklet")
    run(tracker, start=14)
    with VideoTracker.open(tmp_path / "clip.masklet", model=model, options=options) as reopened:
        run(reopened, start=14)
        for name, track in tracker.tracks.items():
            for frame in range(14, 20):
                expected, seen = track.known(frame), reopened.tracks[name].known(frame)
                assert expected is not None
                assert seen is not None
                np.testing.assert_allclose(seen.logits, expected.logits, atol=1e-2, rtol=0)
                assert (seen.anchors, seen.box) == (expected.anchors, expected.box)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_type_of_numbers(model: Model, options: TrackingOptions, dtype: torch.dtype) -> None:
    engine = Model("toy", build_model(TOY, seed=3).network.to(dtype).prepare())
    with VideoTracker(CLIP, engine, options=options) as tracker:
        prompt(tracker)
        run(tracker, stop=12)
        tracker.add_points(frame=6, object="a", points=[(20, 20)], labels=[0])
        run(tracker, start=4, stop=9)
        pointers = [track.known(f).pointer.dtype for track in tracker.tracks.values() for f in range(12)]
        assert {*pointers} == {torch.float32}


def test_an_unknown_policy_is_told_with_the_nearest_name(model: Model) -> None:
    with pytest.raises(ConfigError, match="no 'publishd' among the policies; nearest: published; there are published"):
        StreamTracker(model, options=TrackingOptions(policy="publishd"))


def test_something_that_is_no_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match="'math:sqrt' is no memory policy; give a class with for_slots, choose"):
        make_policy("math:sqrt", 7)
