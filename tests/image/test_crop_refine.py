"""A second look: a crop around a small object, with what was said in the crop's own pixels."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from masklet.image import EncodedImage, ImagePredictor, Masks
from masklet.image.predictor import crop_around, in_crop, refine_in_crops
from masklet.prompts import Prompt


def mask_of(box: tuple[int, int, int, int], size: tuple[int, int] = (600, 800)) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


def spots(*boxes: tuple[int, int, int, int]) -> Masks:
    """Rough masks of a picture of 800 x 600, at a fifth of its resolution and square."""
    rough = [mask_of((x0 // 5, y0 * 4 // 15, x1 // 5, y1 * 4 // 15), (160, 160)) for x0, y0, x1, y1 in boxes]
    logits = np.where(np.stack(rough), 5, -5).astype(np.float32)
    scores = np.full(len(boxes), 0.5, np.float32)
    numbers = np.arange(len(boxes))
    image = np.zeros((600, 800, 3), np.uint8)
    return Masks(logits, image, iou=scores, presence=scores, objects=numbers, candidates=numbers * 0)


class Onlooker:
    """Says that the middle of every crop is the object, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, int], Prompt]] = []

    def __call__(self, crop: NDArray[np.uint8], prompt: Prompt) -> Masks:
        self.asked.append((crop.shape[:2], prompt))
        logits = np.full((1, 160, 160), -7, np.float32)
        logits[:, 64:96, 64:96] = 7
        one = np.array([0.9], np.float32)
        first = np.zeros(1, np.int64)
        return Masks(logits, crop, iou=one, presence=one, objects=first, candidates=first)


def test_a_small_object_is_seen_in_its_crop() -> None:
    first, onlooker = spots((400, 300, 440, 330)), Onlooker()
    prompt = Prompt(points=((410.0, 310.0), (20.0, 20.0)), labels=(1, 0))
    refined = refine_in_crops(first, [prompt], onlooker)
    ((size, said),) = onlooker.asked
    assert size == (120, 120)  # three times the longer side
    assert said.points == ((50.0, 55.0),)  # the click that excludes lies far beyond the crop
    assert said.labels == (1,)
    assert said.box == pytest.approx((40, 45, 80, 75), abs=4)
    assert said.logits is not None
    assert (said.logits > 0).sum() == pytest.approx(160 * 160 * (40 * 30) / 120**2, rel=0.2)
    assert refined.boxes.tolist() == [[408, 303, 432, 327]]
    assert refined.iou.tolist() == pytest.approx([0.9])
    assert refined.size == first.size


def test_where_nothing_is_gained_the_first_answer_stays() -> None:
    onlooker = Onlooker()
    for first in (spots((100, 100, 500, 500)), spots((0, 0, 0, 0))):
        assert refine_in_crops(first, [Prompt(points=((1.0, 1.0),), labels=(1,))], onlooker) is first
    assert onlooker.asked == []


def test_of_several_objects_only_the_small_ones_are_looked_at() -> None:
    onlooker, first = Onlooker(), spots((400, 300, 440, 330), (0, 0, 700, 560), (700, 500, 800, 600))
    boxes = [(400.0, 300.0, 440.0, 330.0), (0.0, 0.0, 700.0, 560.0), (700.0, 500.0, 800.0, 600.0)]
    refined = refine_in_crops(first, [Prompt(box=box) for box in boxes], onlooker)
    assert [detail is not None for detail in refined.details] == [True, False, True]
    last_detail = refined.details[2]
    assert last_detail is not None
    assert last_detail.box == pytest.approx((500, 300, 800, 600), abs=4)
    assert last_detail.box[2:] == (800, 600)
    assert np.array_equal(refined[1], first[1])
    assert onlooker.asked[0][1].box == (40.0, 45.0, 80.0, 75.0)
    last = refined.of(2)
    assert np.array_equal(last[0], refined[2])
    assert refined[2][refined.best.index_map() == 3].all()
    assert repr(refined).startswith("Masks(3 of 800 x 600 pixels, iou 0.90, 0.50, 0.90")


@given(
    st.tuples(st.integers(0, 700), st.integers(0, 500), st.integers(1, 100), st.integers(1, 100)),
    st.lists(st.tuples(st.floats(0, 800), st.floats(0, 600)), max_size=2),
)
def test_crops_lie_in_the_picture_and_hold_object_and_clicks(
    spot: tuple[int, int, int, int], clicks: list[tuple[float, float]]
) -> None:
    x, y, width, height = spot
    prompt = Prompt(points=tuple(clicks), labels=(1,) * len(clicks))
    crop = crop_around(mask_of((x, y, x + width, y + height)), prompt)
    if crop is None:
        return
    x0, y0, x1, y1 = crop
    assert 0 <= x0 <= x
    assert 0 <= y0 <= y
    assert x + width <= x1 <= 800
    assert y + height <= y1 <= 600
    assert 800 / (x1 - x0) >= 1.5
    inside = in_crop(prompt, crop, (x, y, x + width, y + height))
    assert len(inside.points) == len(clicks)
    assert all(0 <= a <= x1 - x0 and 0 <= b <= y1 - y0 for a, b in inside.points)


@pytest.mark.parametrize(
    "said",
    [
        {"points": [(113, 75)]},
        {"points": [[(113, 75)], [(20, 20), (60, 50)]], "labels": [[1], [1, 0]]},
        {"boxes": (100, 60, 120, 80)},
    ],
)
def test_the_predictor_looks_again(predictor: ImagePredictor, picture: EncodedImage, said: dict[str, Any]) -> None:
    first, refined = predictor.predict(picture, **said), predictor.predict(picture, **said, refine=True)
    assert refined.objects.tolist() == first.objects.tolist()
    assert refined.masks.shape == first.masks.shape
    assert np.array_equal(refined.logits, first.logits)


def test_a_crop_is_a_picture_like_any_other(predictor: ImagePredictor, picture: EncodedImage) -> None:
    """The second look is what the predictor says of the crop alone."""
    earlier = np.full((48, 48), -8.0, np.float32)
    earlier[20:24, 22:26] = 8
    first = predictor.predict(picture, boxes=(100, 60, 120, 80))
    small = replace(first, logits=earlier[None], image=picture.image, name="", details=())
    refined = refine_in_crops(small, [Prompt(box=(100, 60, 120, 80))], predictor._of_crop)
    (detail,) = refined.details
    assert detail is not None
    x0, y0, x1, y1 = detail.box
    alone = predictor.encode(picture.image[y0:y1, x0:x1])
    assert detail.logits.shape == (48, 48)
    again = replace(first, logits=detail.logits[None], image=alone.image, name="", details=())
    assert np.array_equal(refined[0][y0:y1, x0:x1], again[0])
    assert refined[0].sum() == again[0].sum()
    with Image.open(io.BytesIO(refined._repr_png_())) as shown:
        assert shown.size == (226, 150)
