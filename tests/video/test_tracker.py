"""The tracker as a person uses it: prompts, following, results, and every wrong call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masklet.engines.fake import FakeEngine
from masklet.errors import MediaError, PromptError, SessionError
from masklet.masks.draw import color
from masklet.prompts import make_prompt
from masklet.video import FrameResult, VideoTracker
from tests.conftest import GOLDEN

CLIP = GOLDEN / "video/frames"


@pytest.fixture(scope="module")
def model() -> FakeEngine:
    return FakeEngine()


def same(a: FrameResult, b: FrameResult, object: int | str) -> bool:
    """Equal up to the last bit of memories in bfloat16, as the golden README bounds it."""
    return np.allclose(a.objects[object].logits, b.objects[object].logits, atol=1e-2, rtol=0)


def test_candidates_begin_with_the_answer_of_a_click_and_record_nothing() -> None:
    frame = np.full((96, 160, 3), 90, np.uint8)
    frame[20:44, 10:34] = (230, 30, 30)
    with VideoTracker([frame] * 2, FakeEngine()) as tracker:
        prompt = make_prompt(tracker.size, points=[(22, 32)])
        found = tracker.candidates(frame=1, prompt=prompt)
        assert not tracker.events
        assert not tracker.tracks
        with pytest.raises(MediaError):
            tracker.candidates(frame=2, prompt=prompt)
        clicked = tracker.add_prompt(frame=1, object=1, prompt=prompt).objects[1]
    (first, *others), ious = zip(*found, strict=True)
    assert np.array_equal(first, clicked.mask)
    assert ious[0] == pytest.approx(clicked.iou)
    assert list(ious) == sorted(ious, reverse=True)
    assert others
    assert all((first & other).sum() < 0.85 * (first | other).sum() for other in others)


def test_objects_do_not_touch_each_other(model: FakeEngine) -> None:
    """Three objects in one pass are as each alone, though they go through the network together."""

    def prompt(tracker: VideoTracker, name: str) -> None:
        match name:
            case "clicked":
                tracker.add_points(frame=0, object=name, points=[(135, 27)])
            case "boxed":
                tracker.add_box(frame=0, object=name, box=(28, 4, 74, 50))
            case "late":
                tracker.add_points(frame=2, object=name, points=[(34, 52)])

    names = ["clicked", "boxed", "late"]
    with VideoTracker(CLIP, model) as tracker:
        for name in names:
            prompt(tracker, name)
        together = list(tracker.propagate(stop=6))
    for name in names:
        with VideoTracker(CLIP, model) as tracker:
            prompt(tracker, name)
            alone = {result.frame: result for result in tracker.propagate(stop=6)}
        seen = [result for result in together if name in result.objects]
        assert [result.frame for result in seen] == list(alone)
        assert all(same(result, alone[result.frame], name) for result in seen)


def test_an_object_is_followed_from_its_first_prompt_on(model: FakeEngine) -> None:
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_box(frame=0, object=1, box=(28, 4, 74, 50))
        tracker.add_box(frame=3, object=2, box=(5, 75, 43, 119))
        present = {result.frame: set(result.objects) for result in tracker.propagate(stop=5)}
    assert present == {0: {1}, 1: {1}, 2: {1}, 3: {1, 2}, 4: {1, 2}}


def test_a_second_click_refines_the_first(model: FakeEngine) -> None:
    with VideoTracker(CLIP, model) as tracker:
        first = tracker.add_points(frame=0, object=1, points=[(24, 98)])
        second = tracker.add_points(frame=0, object=1, points=[(40, 90)], labels=[0])
        assert tracker.tracks[1].prompts[0].points == ((24.0, 98.0), (40.0, 90.0))
        assert tracker.tracks[1].prompts[0].labels == (1, 0)
    assert not same(first, second, 1)


def test_a_given_mask_comes_back(model: FakeEngine) -> None:
    mask = np.zeros((120, 160), bool)
    mask[20:90, 30:120] = True
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_box(frame=0, object=1, box=(28, 4, 74, 50))
        result = tracker.add_mask(frame=0, object=1, mask=mask)
    seen = result.objects[1]
    assert (seen.mask & mask).sum() / (seen.mask | mask).sum() > 0.98
    assert (seen.state, seen.iou) == ("visible", 1.0)


def test_an_empty_mask_says_that_the_object_is_absent(model: FakeEngine) -> None:
    with VideoTracker(CLIP, model) as tracker:
        result = tracker.add_mask(frame=0, object=1, mask=np.zeros((120, 160), bool))
    assert result.objects[1].state == "absent"
    assert not result.objects[1].mask.any()


def test_following_can_be_stopped_and_continued(model: FakeEngine) -> None:
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(135, 27)])
        whole = list(tracker.propagate(stop=8))
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(135, 27)])
        parts = [*tracker.propagate(stop=4), *tracker.propagate(start=4, stop=8)]
    assert all(same(a, b, 1) for a, b in zip(whole, parts, strict=True))


def test_what_a_result_tells(model: FakeEngine) -> None:
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_box(frame=0, object="cup", box=(28, 4, 74, 50))
        result = tracker.add_points(frame=0, object="saucer", points=[(135, 27)])
    cup, saucer = result.objects.values()
    assert list(result.objects) == ["cup", "saucer"]
    assert result.size == (120, 160)
    assert result.masks.shape == (2, 120, 160)
    assert np.array_equal(result.masks[0], cup.mask)
    assert set(np.unique(result.index_map())) == {0, 1, 2}
    assert ((result.index_map() > 0) == (cup.mask | saucer.mask)).all()
    assert result.index_map().dtype == np.uint8
    unsure = cup.uncertainty
    assert 0 <= unsure.min() < unsure.max() <= 1
    assert unsure[np.abs(cup.full_logits()) < 0.05].min() > 0.97
    assert 0 <= cup.iou <= 1
    assert 0 <= cup.presence <= 1


def test_an_overlay_tints_the_object_and_leaves_the_rest(model: FakeEngine) -> None:
    mask = np.zeros((120, 160), bool)
    mask[40:100, 60:140] = True
    with VideoTracker(CLIP, model) as tracker:
        result = tracker.add_mask(frame=0, object=1, mask=mask)
    picture = np.asarray(result.overlay()).astype(int)
    changed = np.abs(picture - result.image).max(axis=2) > 8
    assert changed[55:85, 80:120].mean() > 0.95
    assert changed[:15].mean() < 0.05
    strongest = int(np.argmax(color(1)))
    inside = (picture - result.image)[55:85, 80:120].mean(axis=(0, 1))
    assert inside.argmax() == strongest


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((200, 10, 500, 50), "does not lie in the picture, 160 wide and 120 high"),
        ((50, 10, 20, 50), "has no area"),
    ],
)
def test_a_box_outside_the_picture_is_refused(model: FakeEngine, box: tuple[int, ...], said: str) -> None:
    with VideoTracker(CLIP, model) as tracker:
        with pytest.raises(PromptError, match=said):
            tracker.add_box(frame=0, object=1, box=box)
        assert not tracker.tracks


def test_a_frame_past_the_end_is_refused_and_changes_nothing(model: FakeEngine) -> None:
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(135, 27)])
        with pytest.raises(MediaError, match="there is no frame 20; the video has 20 frames, counted from 0"):
            tracker.add_points(frame=20, object=2, points=[(1, 1)])
        with pytest.raises(MediaError, match="frame is -1; frames are counted from 0"):
            tracker.add_points(frame=-1, object=2, points=[(1, 1)])
        assert set(tracker.tracks) == {1}
        assert len(list(tracker.propagate(stop=3))) == 3


def test_following_nothing_is_refused_at_the_call(model: FakeEngine) -> None:
    with (
        VideoTracker(CLIP, model) as tracker,
        pytest.raises(SessionError, match="no object is prompted; call add_points"),
    ):
        tracker.propagate()


def test_a_text_file_is_no_video(model: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("frame 1: a dog")
    with pytest.raises(MediaError, match=r"notes\.mp4 is not a video that can be decoded"):
        VideoTracker(path, model)
