"""A stream gives what a video gives forward, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest

from masklet.checkpoints import Model
from masklet.engines.fake import FakeEngine
from masklet.errors import MediaError, SessionError
from masklet.media.source import open_video
from masklet.prompts import make_prompt
from masklet.video import StreamTracker, VideoTracker
from tests.conftest import GOLDEN, small_network

CLIP = GOLDEN / "video/frames"


@pytest.fixture(scope="module")
def model() -> FakeEngine:
    return FakeEngine()


def test_a_stream_is_a_video_forward() -> None:
    model = Model("golden-small", small_network())
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(135, 27)])
        tracker.add_box(frame=4, object="b", box=(28, 4, 74, 50))
        whole = list(tracker.propagate())
    stream = StreamTracker(model)
    with open_video(CLIP) as source:
        for frame, expected in zip(source, whole, strict=True):
            seen = stream.step(frame.image)
            if frame.index == 0:
                seen = stream.add_points(object=1, points=[(135, 27)])
            if frame.index == 4:
                seen = stream.add_box(object="b", box=(28, 4, 74, 50))
            assert seen.frame == expected.frame
            assert list(seen.objects) == list(expected.objects)
            for name, result in seen.objects.items():
                np.testing.assert_allclose(result.logits, expected.objects[name].logits, atol=1e-2, rtol=0)


def test_memory_is_bounded(model: FakeEngine) -> None:
    stream = StreamTracker(model)
    images = [frame.image for frame in open_video(CLIP)]
    stream.step(images[0])
    stream.add_points(object=1, points=[(135, 27)])
    kept = []
    for image in images[1:] + images:
        stream.step(image)
        kept.append(len(stream.tracks[1].tracked))
    assert max(kept) == kept[-1] <= 16


def test_times_are_told_by_the_clock(model: FakeEngine) -> None:
    ticks = iter([5.0, 5.5, 7.0])
    stream = StreamTracker(model, clock=lambda: next(ticks))
    image = np.zeros((20, 30, 3), np.uint8)
    assert [stream.step(image).time for _ in range(3)] == [0.0, 0.5, 2.0]


def test_prompting_before_the_first_frame_is_refused(model: FakeEngine) -> None:
    with pytest.raises(SessionError, match="no frame came yet"):
        StreamTracker(model).add_points(object=1, points=[(1, 1)])


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), "frame.png"])
def test_what_is_no_frame_is_refused(model: FakeEngine, image: object) -> None:
    with pytest.raises(MediaError, match=r"give a uint8 array \(height, width, 3\), RGB"):
        StreamTracker(model).step(image)  # type: ignore[arg-type]


def test_another_size_is_refused(model: FakeEngine) -> None:
    stream = StreamTracker(model)
    stream.step(np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(MediaError, match="the frame is 40 x 20 and the stream began with 30 x 20"):
        stream.step(np.zeros((20, 40, 3), np.uint8))


def test_a_removed_object_is_gone(model: FakeEngine) -> None:
    stream = StreamTracker(model)
    image = np.full((20, 30, 3), 90, np.uint8)
    stream.step(image)
    stream.add_box(object=1, box=(2, 2, 20, 18))
    stream.remove(1)
    assert not stream.step(image).objects
    with pytest.raises(SessionError, match="there is no object 1; known objects: none yet"):
        stream.remove(1)


def test_after_a_fault_the_same_image_is_the_same_frame(model: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StreamTracker(model)
    image = np.full((20, 30, 3), 90, np.uint8)
    stream.step(image)
    stream.add_box(object=1, box=(2, 2, 20, 18))
    with monkeypatch.context() as patched:
        patched.setattr(type(model), "encode_image", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            stream.step(image)
    assert stream.step(image).frame == 1


def test_numbers_stay_when_another_object_is_removed(model: FakeEngine) -> None:
    stream = StreamTracker(model)
    image = np.full((20, 30, 3), 90, np.uint8)
    stream.step(image)
    stream.add_box(object="cup", box=(2, 2, 20, 18))
    assert stream.add_box(object="dog", box=(4, 4, 20, 18)).indices == {"cup": 1, "dog": 2}
    stream.remove("cup")
    assert stream.step(image).indices == {"dog": 2}
    assert stream.add_box(object="cat", box=(4, 4, 20, 18)).indices == {"dog": 2, "cat": 1}


def test_clicks_on_one_frame_add_up_or_take_each_others_place() -> None:
    model, (first, second) = FakeEngine(), ([(135, 27)], [(60, 40)])
    image = next(iter(open_video(CLIP))).image
    stream = StreamTracker(model)
    stream.step(image)
    stream.add_points(object=1, points=first)
    stream.add_points(object=1, points=second, labels=[0])
    assert stream.tracks[1].prompts[0].points == ((135.0, 27.0), (60.0, 40.0))
    stream.add_prompt(object=1, prompt=make_prompt((image.shape[0], image.shape[1]), points=second), replace=True)
    assert stream.tracks[1].prompts[0].points == ((60.0, 40.0),)
