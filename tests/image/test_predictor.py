"""The predictor by its properties: many objects are as one by one, padding has no effect, pictures are kept apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from masklet.checkpoints import Model, build_model
from masklet.engines.rules import pad_prompts
from masklet.errors import PromptError
from masklet.image import EncodedImage, ImagePredictor, Masks
from masklet.image.predictor import DECODED_AT_ONCE, no_memories
from masklet.nn import NANO
from masklet.prompts import prompts_per_object
from tests.conftest import small_network

HEIGHT, WIDTH = 150, 226
CLICK: dict[str, Any] = {"points": [(113, 75)]}

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

places = st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT))
clicks = st.lists(st.tuples(places, st.sampled_from([0, 1])), min_size=1, max_size=4)
boxes = st.tuples(st.integers(0, 100), st.integers(0, 70), st.integers(101, WIDTH), st.integers(71, HEIGHT))
objects = st.fixed_dictionaries(
    {"clicks": st.none() | clicks, "box": st.none() | boxes, "mask": st.none() | st.just(0)}
)
many = st.lists(objects.filter(lambda said: any(value is not None for value in said.values())), min_size=1, max_size=5)


def close(ours: Masks, expected: Masks) -> None:
    np.testing.assert_allclose(ours.logits, expected.logits, atol=2e-3, rtol=0)
    np.testing.assert_allclose(ours.iou, expected.iou, atol=1e-4, rtol=0)
    np.testing.assert_allclose(ours.presence, expected.presence, atol=1e-4, rtol=0)


def as_arguments(said: list[dict[str, Any]], earlier: NDArray[np.float32]) -> dict[str, Any]:
    """The prompts of many objects as `predict` takes them."""
    return {
        "points": [one["clicks"] and [place for place, _ in one["clicks"]] for one in said],
        "labels": [one["clicks"] and [label for _, label in one["clicks"]] for one in said],
        "boxes": [one["box"] for one in said],
        "masks": [None if one["mask"] is None else earlier for one in said],
    }


@few
@given(said=many)
def test_many_objects_at_once_are_as_one_by_one(
    predictor: ImagePredictor, picture: EncodedImage, said: list[dict[str, Any]]
) -> None:
    earlier = predictor.predict(picture, **CLICK).logits[1]
    together = predictor.predict(picture, **as_arguments(said, earlier))
    for number, one in enumerate(said):
        alone = {name: values[0] for name, values in as_arguments([one], earlier).items()}
        close(together.of(number), predictor.predict(picture, **alone))
    assert set(together.objects) == set(range(len(said)))


@few
@given(said=many, more=st.integers(1, 5))
def test_more_padding_changes_nothing(
    predictor: ImagePredictor, picture: EncodedImage, said: list[dict[str, Any]], more: int
) -> None:
    engine = predictor.engine
    earlier = predictor.predict(picture, **CLICK).logits[1]
    prompts = prompts_per_object(picture.size, engine.config.mask_size, **as_arguments(said, earlier))
    tokens = pad_prompts(engine, prompts, picture.size)
    keep = torch.ones_like(tokens.labels, dtype=torch.bool) if tokens.keep is None else tokens.keep
    padded = tokens._replace(
        points=torch.cat((tokens.points, torch.full((len(said), more, 2), 50.0)), dim=1),
        labels=torch.cat((tokens.labels, torch.ones(len(said), more, dtype=torch.int64)), dim=1),
        keep=torch.cat((keep, torch.zeros(len(said), more, dtype=torch.bool)), dim=1),
    )
    with torch.inference_mode():
        features = engine.attend_memory(picture.levels.stride16, no_memories(engine))
        expected, ours = (engine.decode_masks(features, picture.levels, prompt) for prompt in (tokens, padded))
    torch.testing.assert_close(ours.logits, expected.logits, atol=2e-3, rtol=0)
    torch.testing.assert_close(ours.iou, expected.iou, atol=1e-4, rtol=0)


def test_a_batch_of_pictures_is_as_one_by_one(
    predictor: ImagePredictor, picture: EncodedImage, cat: NDArray[np.uint8]
) -> None:
    pictures = predictor.encode([cat[::2], cat, cat[:, ::3], cat[::-1], cat[:, ::-1], cat])
    assert [one.size for one in pictures] == [(75, 226), (150, 226), (150, 76), (150, 226), (150, 226), (150, 226)]
    expected = predictor.predict(picture, **CLICK)
    for one in (pictures[1], pictures[5]):
        close(predictor.predict(one, **CLICK), expected)
    close(
        predictor.predict(pictures[2], points=[(20, 30)]),
        predictor.predict(predictor.encode(cat[:, ::3]), points=[(20, 30)]),
    )
    assert predictor.encode([]) == []


def test_generators_and_tuples_are_batches_too(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> None:
    assert len(predictor.encode(image for image in (cat, cat))) == 2
    assert len(predictor.encode((cat,))) == 1


def test_more_objects_than_fit_a_pass(
    predictor: ImagePredictor, picture: EncodedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"boxes": [(x, 10, x + 60, 120) for x in range(0, 140, 20)], "multimask": True}
    expected = predictor.predict(picture, **said)
    monkeypatch.setitem(DECODED_AT_ONCE, "cpu", 3)
    ours = predictor.predict(picture, **said)
    close(ours, expected)
    assert ours.objects.tolist() == expected.objects.tolist() == [n for n in range(7) for _ in range(3)]


def test_many_objects_and_candidates_by_their_shape(predictor: ImagePredictor, picture: EncodedImage) -> None:
    answer = predictor.predict(picture, points=[[(50, 50)], [(20, 20), (90, 90)], [(150, 40)]])
    assert answer.objects.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert answer.masks.shape == (7, HEIGHT, WIDTH)
    assert answer.best.masks.shape == (3, HEIGHT, WIDTH)
    assert answer.best.objects.tolist() == [0, 1, 2]
    for number in range(3):
        scores = answer.of(number).iou
        assert (np.diff(scores) <= 0).all()
        assert answer.best.iou[number] == scores[0]


@pytest.mark.parametrize("multimask", [True, False])
def test_multimask_as_told(predictor: ImagePredictor, picture: EncodedImage, multimask: bool) -> None:
    answer = predictor.predict(picture, boxes=np.array([[9, 9, 90, 90], [30, 20, 200, 140]]), multimask=multimask)
    assert len(answer) == (6 if multimask else 2)


def test_an_earlier_answer_settles_a_click(predictor: ImagePredictor, picture: EncodedImage) -> None:
    earlier = predictor.predict(picture, **CLICK)
    refined = predictor.predict(picture, **CLICK, masks=earlier.logits[0])
    assert len(refined) == 1
    close(refined, predictor.predict(picture, **CLICK, masks=earlier.logits[:1]))


def test_no_boxes_at_all(predictor: ImagePredictor, picture: EncodedImage) -> None:
    answer = predictor.predict(picture, boxes=np.zeros((0, 4)))
    assert (len(answer), answer.masks.shape, answer.boxes.shape) == (0, (0, HEIGHT, WIDTH), (0, 4))
    assert answer.overlay().size == (WIDTH, HEIGHT)
    assert answer.index_map().max() == 0


def test_prompts_as_tensors(predictor: ImagePredictor, picture: EncodedImage) -> None:
    close(
        predictor.predict(picture, points=torch.tensor([[113, 75]]), labels=torch.tensor([1])),
        predictor.predict(picture, **CLICK),
    )


NAN = float("nan")
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "the prompt is empty; give points, boxes or masks"),
    "no points": ({"points": []}, "the prompt is empty"),
    "outside": ({"points": [(400, 20)]}, r"the point \(400, 20\) lies outside the picture, 226 wide and 150 high"),
    "negative": ({"points": [(-1, 20)]}, r"the point \(-1, 20\) lies outside"),
    "NaN": ({"points": [(NAN, 20)]}, "points holds nan; give finite numbers"),
    "labels": ({**CLICK, "labels": [1, 0, 1]}, "labels has 3 entries for 1 point; give one label"),
    "label 2": ({**CLICK, "labels": [2]}, r"labels holds 2; a label is 1 \(include\) or 0 \(exclude\)"),
    "label -1": ({**CLICK, "labels": [-1]}, "labels holds -1"),
    "labels alone": ({"labels": [1]}, "labels has 1 entry for 0 points"),
    "x1 < x0": ({"boxes": (90, 20, 40, 80)}, r"the box \(90, 20, 40, 80\) has no area; give .* with x0 < x1"),
    "box outside": ({"boxes": (300, 0, 400, 80)}, "does not lie in the picture, 226 wide and 150 high"),
    "box of three": ({"boxes": (0, 0, 40)}, r"box has the shape \(3,\); give four numbers"),
    "box with NaN": ({"boxes": (0, 0, NAN, 80)}, "box holds nan"),
    "one number": ({"points": (3, 4)}, r"points has the shape \(2,\); give pairs"),
    "text": ({"points": "middle"}, "points is 'middle', which is not an array of numbers"),
    "full mask": ({"masks": np.zeros((150, 226))}, r"masks has the shape \(150, 226\); give the logits .* \(48, 48\)"),
    "bool mask": ({"masks": np.zeros((48, 48), bool)}, "masks is of type bool; give the logits"),
    "mask with NaN": ({"masks": np.full((48, 48), NAN)}, "masks holds nan"),
    "ragged mask": ({"masks": [[1.0], [1.0, 2.0]]}, "masks cannot be read as an array"),
    "counts": (
        {"points": [[(3, 4)], [(5, 6)]], "boxes": [(0, 0, 9, 9)] * 3},
        "different numbers of objects: points of 2, boxes of 3",
    ),
    "one of many": ({"points": [[(3, 4)], [(5, 600)]]}, r"object 1: the point \(5, 600\) lies outside"),
    "one is empty": ({"points": [[(3, 4)], None]}, "object 1: the prompt is empty"),
}


@pytest.mark.parametrize(("said", "sentence"), BAD.values(), ids=BAD)
def test_prompts_that_make_no_sense(
    predictor: ImagePredictor, picture: EncodedImage, said: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PromptError, match=sentence):
        predictor.predict(picture, **said)


def test_the_picture_of_another_model(picture: EncodedImage) -> None:
    other = ImagePredictor(Model("other", small_network(name="other")))
    with pytest.raises(PromptError, match="was encoded by golden-small, and this predictor runs other; encode it with"):
        other.predict(picture, **CLICK)


def test_a_network_that_draws_its_prompts(cat: NDArray[np.uint8]) -> None:
    """`nano` draws points and boxes; objects with a mask alone have nothing to draw."""
    predictor = ImagePredictor(build_model(NANO, seed=0, image_size=64))
    picture = predictor.encode(cat)
    first = predictor.predict(picture, **CLICK)
    again = predictor.predict(picture, masks=first.logits[0])
    together = predictor.predict(picture, points=[None, [(113, 75)]], masks=[first.logits[0], None])
    close(together.of(0), again)
    close(together.of(1), first)


def test_what_is_printed(predictor: ImagePredictor, picture: EncodedImage) -> None:
    assert repr(picture) == "EncodedImage(226 x 150 pixels, golden-small)"
    assert repr(predictor.predict(picture, **CLICK)).startswith("Masks(3 of 226 x 150 pixels, iou 0.")
