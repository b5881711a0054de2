"""The fake engine finds, follows and loses things of one colour, so that tests of what is above it see real answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import masklet
from masklet.engines.fake import FakeEngine
from masklet.media.frames import ArrayFrames

SIDE = 128
RED, BLUE, GREY = (220, 30, 30), (30, 30, 220), (120, 120, 120)


def square(left: int, top: int) -> NDArray[np.bool_]:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[max(top, 0) : max(top + 40, 0), max(left, 0) : max(left + 40, 0)] = True
    return mask


def frame(red: NDArray[np.bool_], blue: NDArray[np.bool_]) -> NDArray[np.uint8]:
    picture = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    picture[red], picture[blue] = RED, BLUE
    return picture


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_things_are_found_by_clicks_boxes_and_masks() -> None:
    red, blue = square(20, 30), square(70, 60)
    predictor = masklet.ImagePredictor(FakeEngine())
    picture = predictor.encode(frame(red, blue))
    for truth, middle in ((red, (40, 50)), (blue, (90, 80))):
        assert iou(predictor.predict(picture, points=[middle], multimask=False).best[0], truth) > 0.8
        left, top = np.argwhere(truth).min(axis=0)[::-1] - 4
        assert iou(predictor.predict(picture, boxes=(left, top, left + 48, top + 48)).best[0], truth) > 0.8
    nothing = predictor.predict(picture, points=[(40, 50), (40, 50)], labels=[1, 0]).best[0]
    assert nothing.sum() < red.sum() / 2


def test_things_are_followed_until_they_leave() -> None:
    reds, blues = [square(20 - 8 * i, 30) for i in range(10)], [square(60, 70 + i) for i in range(10)]
    video = ArrayFrames(np.stack([frame(red, blue) for red, blue in zip(reds, blues, strict=True)]))
    with masklet.VideoTracker(video, FakeEngine()) as tracker:
        tracker.add_points(frame=0, object="red", points=[(40, 50)])
        tracker.add_box(frame=0, object="blue", box=(56, 66, 104, 114))
        results = list(tracker.propagate())
    assert len(results) == 10
    for result, red, blue in zip(results, reds, blues, strict=True):
        assert iou(result.objects["blue"].mask, blue) > 0.7
        if red.sum() > 400:
            assert iou(result.objects["red"].mask, red) > 0.7
        if not red.any():
            assert result.objects["red"].state == "absent"
            assert not result.objects["red"].mask.any()
    assert results[-1].objects["red"].presence < 0.5 < results[-1].objects["blue"].presence


@pytest.mark.parametrize("given", [None, {"a": 1}, 3, object()])
def test_what_is_no_engine_is_refused_at_the_border(given: object) -> None:
    for face in (masklet.ImagePredictor, masklet.StreamTracker):
        with pytest.raises(masklet.EngineError, match=r"without encode_image, .*; give a name, a path, a Model"):
            face(given)  # type: ignore[operator]
    with pytest.raises(masklet.EngineError, match=f"type {type(given).__name__} without"):
        masklet.VideoTracker(ArrayFrames(np.zeros((2, 8, 8, 3), np.uint8)), given)  # type: ignore[arg-type]
