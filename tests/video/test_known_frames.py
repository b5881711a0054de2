"""What is known of a frame is known once: undo, save, open, locks, corrections and the disk budget are all the same to
the rules of a session. The clip is longer than every window of what is remembered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masklet.checkpoints import Model, build_model
from masklet.engines.fake import FakeEngine
from masklet.errors import CheckpointError, SessionError
from masklet.nn import Levels
from masklet.video import TrackingOptions, VideoTracker, result
from masklet.video.events import Cleared, Followed, Locked, Prompted
from masklet.video.packing import facts_to_json
from masklet.video.store import StoredFrames, unpack
from tests.conftest import GOLDEN, small_network
from tests.video.test_session import TOY, act_all, run

SIZE = (48, 64)
FRAMES = 48
FREE = TrackingOptions(disk_budget=0)


def clip() -> list[np.ndarray]:
    """Two squares that move over a noisy ground."""
    random = np.random.default_rng(7)
    frames = []
    for frame in range(FRAMES):
        image = np.full((*SIZE, 3), (60, 90, 70), np.int64) + random.integers(-8, 9, (*SIZE, 3))
        image[6 + frame // 4 : 20 + frame // 4, 4 + frame // 2 : 18 + frame // 2] = (220, 60, 40)
        image[28:42, 44 - frame // 2 : 58 - frame // 2] = (40, 80, 230)
        frames.append(image.clip(0, 255).astype(np.uint8))
    return frames


CLIP = clip()


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(TOY, seed=3)


def shown(tracker: VideoTracker) -> dict[int, dict[Any, Any]]:
    return {frame: dict(tracker.result(frame).objects) for frame in tracker.known_frames()}


def assert_alike(a: dict[int, dict[Any, Any]], b: dict[int, dict[Any, Any]], differing: float) -> None:
    """The same frames and objects, scores within 0.02, and masks that differ in at most this share of their pixels."""
    assert {frame: list(objects) for frame, objects in a.items()} == {f: list(objects) for f, objects in b.items()}
    for frame, objects in a.items():
        for name, one in objects.items():
            other, place = b[frame][name], f"object {name} in frame {frame}"
            assert one.iou == pytest.approx(other.iou, abs=0.02), place
            assert one.presence == pytest.approx(other.presence, abs=0.02), place
            assert (one.mask != other.mask).mean() <= differing, place


def assert_same(one: VideoTracker, other: VideoTracker) -> None:
    """Two sessions show the same, and the same was said."""
    assert_alike(shown(one), shown(other), differing=0.0)
    for a, b in zip(one.tracks.items(), other.tracks.items(), strict=True):
        (name, track), (again, copy) = a, b
        assert (name, track.number, list(track.prompted)) == (again, copy.number, list(copy.prompted))
        assert facts_to_json(track) == facts_to_json(copy)


def begin(tracker: VideoTracker) -> None:
    tracker.add_box(frame=0, object="a", box=(4, 6, 18, 20))
    tracker.add_box(frame=0, object="b", box=(44, 28, 58, 42))
    run(tracker)


def correct(tracker: VideoTracker) -> list[np.ndarray]:
    """A click far from where the pass ended, and one near its beginning."""
    return [
        tracker.add_points(frame=frame, object="a", points=[(8 + frame // 2, 12 + frame // 4)]).objects["a"].mask
        for frame in (12, 5)
    ]


@pytest.mark.parametrize("way", ["opened again", "no budget"])
def test_a_correction_is_the_same_whatever_was_given_up(model: Model, tmp_path: Path, way: str) -> None:
    with VideoTracker(CLIP, model) as tracker:
        begin(tracker)
        tracker.save(tmp_path / "clip.masklet")
        first = tracker.result(12).objects["a"].mask
        expected = correct(tracker)
        again = run(tracker, start=12, stop=22)
    if way == "no budget":
        other = VideoTracker(CLIP, model, options=FREE)
        begin(other)
    else:
        other = VideoTracker.open(tmp_path / "clip.masklet", CLIP, model)
    with other as tracker:
        assert (tracker.result(12).objects["a"].mask != first).mean() < 0.004
        assert tracker.tracks["a"].tracked[12].memory is None
        for mask, wanted in zip(correct(tracker), expected, strict=True):
            assert (mask != wanted).mean() < 0.004
        assert tracker.tracks["a"].prompted[12].attended
        for frame, result in run(tracker, start=12, stop=22).items():
            for name, mask in {name: one.mask for name, one in result.objects.items()}.items():
                assert (mask != again[frame].objects[name].mask).mean() < 0.005


def test_a_frame_that_is_shown_can_be_locked(tmp_path: Path) -> None:
    with VideoTracker(CLIP, FakeEngine()) as tracker:
        begin(tracker)
        tracker.save(tmp_path / "clip.masklet")
        masks = tracker.result(20).masks
    with VideoTracker.open(tmp_path / "clip.masklet", CLIP, FakeEngine()) as tracker:
        tracker.lock(20)
        assert [20 in track.prompted for track in tracker.tracks.values()] == [True, True]
        assert all(track.prompted[20].memory is not None for track in tracker.tracks.values())
        run(tracker, start=18, stop=23)
        np.testing.assert_array_equal(tracker.result(20).masks, masks)


@pytest.mark.parametrize("engine", ["toy", "golden"])
def test_a_memory_that_is_encoded_again_is_as_the_first(model: Model, engine: str) -> None:
    """To the last bit from the logits as they were; from the 12 bits of each cell that are kept of frames which gave up
    their memory, within 2 % of the largest value."""
    chosen = model if engine == "toy" else Model("golden-small", small_network())
    video: Any = CLIP if engine == "toy" else GOLDEN / "video/frames"
    with VideoTracker(video, chosen) as tracker:
        tracker.add_points(frame=0, object=1, points=[(34, 40)])
        run(tracker, stop=18)
        frames = tracker.tracks[1].tracked
        assert isinstance(frames, StoredFrames)
        for frame in range(1, 18):
            first = frames[frame]
            assert first.memory is not None
            same = tracker._encode_again(dataclasses.replace(first, memory=None)).memory
            assert torch.equal(same, first.memory)  # type: ignore[arg-type]
            pointer, logits = unpack(frames.packed(frame), chosen.config.mask_size)
            kept = {"pointer": torch.from_numpy(pointer), "logits": torch.from_numpy(logits)}
            again = tracker._encode_again(dataclasses.replace(first, memory=None, **kept))
            largest = float(first.memory.float().abs().max())
            torch.testing.assert_close(again.memory.float(), first.memory.float(), atol=0.02 * largest, rtol=0)  # type: ignore[union-attr]
            assert torch.equal(again.pointer, first.pointer)  # type: ignore[arg-type]


FRAME = st.integers(0, FRAMES - 1)
OBJECTS = st.sampled_from(["a", "b"])
ACTION = st.one_of(
    st.tuples(st.just("point"), FRAME, OBJECTS, st.tuples(st.integers(0, 63), st.integers(0, 47)), st.integers(0, 1)),
    st.tuples(st.just("box"), FRAME, OBJECTS),
    st.tuples(st.just("mask"), FRAME, OBJECTS),
    st.tuples(st.just("follow"), FRAME, FRAME, st.booleans(), st.none() | OBJECTS),
    st.tuples(st.just("both"), st.integers(FRAMES - 4, FRAMES), st.none() | OBJECTS),
    st.tuples(st.just("clear"), FRAME, OBJECTS),
    st.tuples(st.just("remove"), OBJECTS),
    st.tuples(st.just("lock"), FRAME, st.none() | OBJECTS),
    st.tuples(st.sampled_from(["accept", "absent", "unmark"]), OBJECTS, FRAME, FRAME),
    st.tuples(st.just("swap"), FRAME),
    st.tuples(st.just("split"), FRAME, OBJECTS),
    st.tuples(st.just("merge"), OBJECTS | st.just("c"), OBJECTS),
    st.tuples(st.just("describe"), OBJECTS | st.just("c"), st.sampled_from(["", "car"])),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
)
SEQUENCE = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def begun(options: TrackingOptions | None = None) -> VideoTracker:
    tracker = VideoTracker(CLIP, FakeEngine(), options=options)
    begin(tracker)
    return tracker


@given(before=st.lists(ACTION, max_size=4), after=st.lists(ACTION, min_size=1, max_size=4))
@SEQUENCE
def test_saved_and_opened_it_goes_on_as_if_nothing_had_happened(
    tmp_path: Path,
    before: list[tuple],
    after: list[tuple],  # type: ignore[type-arg]
) -> None:
    after = [action for action in after if action != ("redo",)]  # what was undone is not in the file
    with begun() as straight:
        act_all(straight, before)
        straight.save(tmp_path / "clip.masklet")
        with VideoTracker.open(tmp_path / "clip.masklet", CLIP, straight.engine) as reopened:
            assert_same(straight, reopened)
            act_all(straight, after)
            act_all(reopened, after)
            assert [type(event) for event in reopened.events] == [type(event) for event in straight.events]
            assert_alike(shown(straight), shown(reopened), differing=0.01)


@given(actions=st.lists(ACTION, min_size=1, max_size=6), count=st.integers(1, 6))
@SEQUENCE
def test_opened_again_the_newest_events_are_undone_as_before(
    tmp_path: Path,
    actions: list[tuple],  # type: ignore[type-arg]
    count: int,
) -> None:
    with begun() as straight:
        act_all(straight, actions)
        straight.save(tmp_path / "clip.masklet")
        with VideoTracker.open(tmp_path / "clip.masklet", CLIP, straight.engine) as reopened:
            for _ in range(min(count, len(straight.events))):
                assert type(straight.undo()) is type(reopened.undo())
                assert_same(straight, reopened)


@given(actions=st.lists(ACTION, min_size=1, max_size=6))
@SEQUENCE
def test_a_session_without_a_budget_is_the_same(actions: list[tuple]) -> None:  # type: ignore[type-arg]
    with begun() as straight, begun(FREE) as free:
        act_all(straight, actions)
        act_all(free, actions)
        assert free.events == straight.events
        assert_alike(shown(straight), shown(free), differing=0.01)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    def passed(look: bool) -> Iterator[VideoTracker]:
        with VideoTracker(CLIP, FakeEngine()) as tracker:
            tracker.add_box(frame=3, object="a", box=(4, 6, 18, 20))
            for result in tracker.propagate(direction="both"):
                if look:
                    assert tracker.events[-1] == Followed(*span(tracker, result.frame))
                    tracker.save(tmp_path / "clip.masklet")
                    assert tracker.known_frames()
                    tracker.result(result.frame)
            yield tracker

    (plain,) = passed(look=False)
    (read,) = passed(look=True)
    assert [type(event) for event in read.events] == [type(event) for event in plain.events]


def span(tracker: VideoTracker, frame: int) -> tuple[Any, ...]:
    last = tracker.events[-1]
    assert isinstance(last, Followed)
    return last.first, frame, last.backward, None, True


class Counting(FakeEngine):
    """Knows how many pictures were encoded."""

    count = 0

    def encode_image(self, images: torch.Tensor) -> Levels:
        type(self).count += 1
        return super().encode_image(images)


NEWEST: dict[str, Any] = {
    "prompt": lambda t: t.add_points(frame=20, object="a", points=[(18, 17)]),
    "second prompt": lambda t: t.add_points(frame=0, object="a", points=[(10, 10)]),
    "given mask": lambda t: t.add_mask(frame=7, object="b", mask=np.eye(48, 64) > 0),
    "pass": lambda t: run(t, start=10),
    "pass of one": lambda t: run(t, start=40, only="a", direction="backward"),
    "lock": lambda t: t.lock(30),
    "lock of one": lambda t: t.lock(30, "b"),
    "accept": lambda t: t.accept("a", 5, 30),
    "absent": lambda t: t.mark_absent("a", 0, 30),
    "swap": lambda t: t.swap(20, "a", "b"),
    "split": lambda t: t.split(20, "a", "c"),
    "merge": lambda t: t.merge("a", "b"),
    "clear": lambda t: t.clear(0, "a"),
    "remove": lambda t: t.remove("b"),
    "described": lambda t: t.describe("b", category="car"),
    "described first": lambda t: t.describe("c", colour="#00ff00"),
    "new object": lambda t: t.add_box(frame=2, object="c", box=(4, 6, 18, 20)),
}


@pytest.mark.parametrize("newest", NEWEST)
def test_the_newest_event_is_undone_at_once_also_after_opening(tmp_path: Path, newest: str) -> None:
    with VideoTracker(CLIP, Counting()) as tracker:
        begin(tracker)
        before, facts = shown(tracker), {name: facts_to_json(track) for name, track in tracker.tracks.items()}
        numbers = tracker.result(0).indices
        NEWEST[newest](tracker)
        after = shown(tracker)
        tracker.save(tmp_path / "clip.masklet")
    with VideoTracker.open(tmp_path / "clip.masklet", CLIP, Counting()) as tracker:
        count = Counting.count
        assert_alike(shown(tracker), after, differing=0.0)
        tracker.undo()
        assert_alike(shown(tracker), before, differing=0.0)
        assert {name: facts_to_json(track) for name, track in tracker.tracks.items()} == facts
        assert tracker.result(0).indices == numbers
        tracker.redo()
        assert_alike(shown(tracker), after, differing=0.0)
        assert Counting.count == count, "the network ran"


def test_older_events_are_computed_again_once(tmp_path: Path) -> None:
    with VideoTracker(CLIP, Counting()) as tracker:
        tracker.add_box(frame=0, object="a", box=(4, 6, 18, 20))
        for frame in range(1, 20):
            tracker.add_points(frame=frame, object="a", points=[(10 + frame // 2, 12)])
        tracker.save(tmp_path / "clip.masklet")
    with VideoTracker.open(tmp_path / "clip.masklet", CLIP, Counting()) as tracker:
        count = Counting.count
        for _ in range(8):
            tracker.undo()
        assert Counting.count == count
        tracker.undo()
        count = Counting.count
        for _ in range(11):
            tracker.undo()
        assert Counting.count == count
        assert not tracker.tracks
        with pytest.raises(SessionError, match="nothing to undo"):
            tracker.undo()


def test_a_file_of_masks_alone_is_known_too(tmp_path: Path) -> None:
    """As of the first versions, or as another program writes them."""
    from masklet.formats.project_file import read_project, write_project

    with VideoTracker(CLIP, FakeEngine()) as tracker:
        begin(tracker)
        tracker.save(tmp_path / "clip.masklet")
        masks = {frame: result.masks for frame in (0, 20, 47) if (result := tracker.result(frame))}
    write_project(
        tmp_path / "old.masklet", dataclasses.replace(read_project(tmp_path / "clip.masklet"), attachments={})
    )
    with VideoTracker.open(tmp_path / "old.masklet", CLIP, FakeEngine()) as tracker:
        for frame, wanted in masks.items():
            np.testing.assert_array_equal(tracker.result(frame).masks, wanted)
        tracker.lock(20)
        tracker.add_points(frame=30, object="a", points=[(20, 20)])
        assert tracker.tracks["a"].prompted[30].attended
        assert len(run(tracker, start=20)) == 28


def test_a_model_of_other_sizes_is_refused(tmp_path: Path) -> None:
    first = build_model(TOY, seed=3)
    other = build_model(TOY, seed=3, memory_width=16)
    with VideoTracker(CLIP, first) as tracker:
        tracker.add_box(frame=0, object="a", box=(4, 6, 18, 20))
        tracker.save(tmp_path / "clip.masklet")
    with pytest.raises(
        CheckpointError, match=r"a model whose memory is \(8, 4, 4\), and that of this one is \(16, 4, 4"
    ):
        VideoTracker.open(tmp_path / "clip.masklet", CLIP, other, other_weights=True)


def test_a_save_on_the_way_encodes_new_masks_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    encoded: list[int] = []
    real = result.plain_frame
    monkeypatch.setattr(result, "plain_frame", lambda *a: (encoded.append(a[1]), real(*a))[1])
    with begun() as tracker:
        tracker.save(tmp_path / "clip.masklet")
        assert encoded == [*range(FRAMES)]
        tracker.add_points(frame=20, object="a", points=[(18, 17)])
        encoded.clear()
        tracker.save(tmp_path / "clip.masklet")
        assert encoded == [20]


def test_events_of_a_lock_and_a_clear_are_rebuilt() -> None:
    """The log alone rebuilds what was locked, to the pixel."""
    with VideoTracker(CLIP, FakeEngine()) as tracker, VideoTracker(CLIP, FakeEngine()) as rebuilt:
        begin(tracker)
        tracker.lock(20)
        tracker.add_mask(frame=7, object="b", mask=np.eye(48, 64) > 0)
        tracker.clear(7, "b")
        run(tracker, start=15, stop=25)
        rebuilt.replay(tracker.events)
        assert [type(e) for e in rebuilt.events][-4:] == [Locked, Prompted, Cleared, Followed]
        for frame in (19, 20, 24):
            np.testing.assert_array_equal(rebuilt.result(frame).masks, tracker.result(frame).masks)
