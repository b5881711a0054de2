"""One example, many pictures: the marked thing is looked for as in the next frame of a video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import masklet
from masklet.errors import MediaError, PromptError
from masklet.image import ImagePredictor, segment_like
from masklet.image.like import remembered
from masklet.nn import Decoded

SIDE = 192


def square(cat: NDArray[np.uint8], left: int) -> NDArray[np.uint8]:
    """A picture of the model's own size, which pictures and frames bring to the network without a change."""
    return np.asarray(Image.fromarray(cat[:, left : left + 150]).resize((SIDE, SIDE)))


def disc(x: int, y: int, radius: int = 40) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


@pytest.fixture(scope="module")
def pictures(cat: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [square(cat, left) for left in (0, 20, 40, 76)]


def test_it_is_the_second_frame_of_a_video(predictor: ImagePredictor, pictures: list[NDArray[np.uint8]]) -> None:
    mask = disc(90, 90)
    (found,) = segment_like(pictures[0], mask, [pictures[1]], predictor.engine)
    with masklet.VideoTracker(pictures[:2], predictor.engine) as tracker:
        tracker.add_mask(frame=0, object=1, mask=mask)
        *_, second = tracker.propagate()
        expected = second.objects[1]
        np.testing.assert_allclose(found.presence[0], expected.presence, atol=1e-4)
        np.testing.assert_allclose(found.iou[0], expected.iou, atol=1e-4)
        np.testing.assert_allclose(found.logits[0], expected.logits, atol=2e-3)


def test_each_picture_has_one_mask_of_its_size(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> None:
    mask = np.zeros(cat.shape[:2], np.uint8)
    mask[30:120, 60:180] = 7
    others = [cat[::2], cat, cat[:, ::3], cat[::-1], cat[:, ::-1]]
    found = segment_like(cat, mask, iter(others), predictor.engine)
    assert [one.masks.shape for one in found] == [(1, *other.shape[:2]) for other in others]
    alone = segment_like(cat, mask, others[2:3], predictor.engine)[0]
    np.testing.assert_allclose(found[2].logits, alone.logits, atol=2e-3)
    assert segment_like(cat, mask, [], predictor.engine) == []


def test_an_example_given_twice_is_one(predictor: ImagePredictor, pictures: list[NDArray[np.uint8]]) -> None:
    mask = disc(90, 90)
    (once,) = segment_like(pictures[0], mask, pictures[1:2], predictor.engine)
    (twice,) = segment_like([pictures[0]] * 2, [mask] * 2, pictures[1:2], predictor.engine)
    np.testing.assert_allclose(twice.logits, once.logits, atol=2e-3)


def test_more_examples_have_no_order_and_count(predictor: ImagePredictor, pictures: list[NDArray[np.uint8]]) -> None:
    masks = [disc(90, 90), disc(60, 100, 30)]
    (one,) = segment_like(pictures[0], masks[0], pictures[2:3], predictor.engine)
    (both,) = segment_like(pictures[:2], masks, pictures[2:3], predictor.engine)
    (turned,) = segment_like(pictures[1::-1], masks[::-1], pictures[2:3], predictor.engine)
    np.testing.assert_allclose(turned.logits, both.logits, atol=2e-3)
    assert np.abs(both.logits - one.logits).max() > 0.1


@dataclass
class Doubting:
    """An engine that takes every thing for absent that it would have found."""

    engine: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def decode_masks(self, *arguments: Any) -> Decoded:
        decoded = self.engine.decode_masks(*arguments)
        return decoded._replace(presence=-decoded.presence.abs())


def test_what_is_not_there_has_an_empty_mask(predictor: ImagePredictor, pictures: list[NDArray[np.uint8]]) -> None:
    found = segment_like(pictures[0], disc(90, 90), pictures[1:], Doubting(predictor.engine))
    for one in found:
        assert one.presence[0] <= 0.5
        assert not one.masks.any()
        assert one.boxes.tolist() == [[0, 0, 0, 0]]
        assert one.overlay().size == (SIDE, SIDE)


def test_pictures_that_are_encoded_already_are_not_encoded_again(
    predictor: ImagePredictor, pictures: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = disc(90, 90)
    expected = segment_like(pictures[0], mask, pictures[1:], predictor.engine)
    example, first, *_, last = predictor.encode(pictures)
    mixed = segment_like(example, mask, [first, pictures[2], last], predictor.engine)
    for one, wanted in zip(mixed, expected, strict=True):
        np.testing.assert_allclose(one.logits, wanted.logits, atol=2e-3)

    def refuse(*_: object) -> None:
        raise AssertionError("a picture is encoded again")

    monkeypatch.setattr(type(predictor.engine), "encode_image", refuse)
    assert len(segment_like([example, last], [mask, mask], [first], predictor.engine)) == 1


def test_a_picture_that_another_model_encoded_is_refused(
    predictor: ImagePredictor, pictures: list[NDArray[np.uint8]]
) -> None:
    mask, seen = disc(90, 90), predictor.encode(pictures[0])
    other = replace(seen, config=replace(seen.config, name="other"))
    with pytest.raises(PromptError, match="was encoded by other, and this predictor runs"):
        segment_like(other, mask, pictures[1:], predictor.engine)
    with pytest.raises(PromptError, match="was encoded by other, and this predictor runs"):
        segment_like(pictures[0], mask, [other], predictor.engine)
    with pytest.raises(MediaError, match="others is one picture"):
        segment_like(pictures[0], mask, seen, predictor.engine)  # type: ignore[arg-type]


def test_bad_input_has_its_sentence(
    predictor: ImagePredictor, pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    mask, engine = disc(90, 90), predictor.engine
    with pytest.raises(PromptError, match="the mask of example 0 is empty; mark the thing"):
        segment_like(pictures[0], np.zeros_like(mask), pictures, engine)
    with pytest.raises(PromptError, match=r"mask has the shape \(96, 192\); give one of the picture's size"):
        segment_like(pictures[0], mask[::2], pictures, engine)
    with pytest.raises(PromptError, match="there are 2 pictures with an example and 1 masks; give a mask for each"):
        segment_like(pictures[:2], [mask], pictures, engine)
    with pytest.raises(PromptError, match="there are 0 pictures"):
        segment_like([], [], pictures, engine)
    with pytest.raises(MediaError, match="example 1 is 192 wide and 0 high"):
        segment_like([pictures[0], pictures[0][:0]], [mask, mask[:0]], pictures, engine)
    with pytest.raises(MediaError, match="picture 1 has the shape"):
        segment_like(pictures[0], mask, [pictures[1], mask[0]], engine)
    with pytest.raises(MediaError, match=r"others is one picture; give a list of pictures, such as \[picture\]"):
        segment_like(pictures[0], mask, "dog.jpg", engine)
    with pytest.raises(MediaError, match="there is no file at"):
        segment_like(pictures[0], mask, [tmp_path / "gone.png"], engine)


def test_examples_take_the_slot_of_prompted_frames(
    predictor: ImagePredictor, pictures: list[NDArray[np.uint8]]
) -> None:
    bank = remembered(predictor, pictures[:3], [disc(90, 90)] * 3)
    assert bank.slots.tolist() == [[predictor.engine.config.memory_frames - 1] * 3]
    assert bank.memories.shape[:2] == bank.pointers.shape[:2] == (1, 3)
