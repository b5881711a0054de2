"""Names from examples: prototypes of a network's features, and a likeness below which there is no name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import masklet
from masklet import PromptError
from masklet.engines.fake import FakeEngine
from masklet.image.names import evening, unit
from masklet.image.picture import crop_of

COLOURS = {"cherry": (200, 30, 40), "lime": (60, 200, 50), "plum": (90, 40, 160)}
SIZE = (80, 100)


def scene(name: str, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A disk of the name's colour, a little off, somewhere on grey."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    x, y, radius = rng.integers(20, 80), rng.integers(20, 60), rng.integers(10, 18)
    mask = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    image = rng.integers(110, 130, (*SIZE, 3)).astype(np.uint8)
    image[mask] = np.clip(np.array(COLOURS.get(name, (240, 240, 230))) + rng.integers(-20, 20, 3), 0, 255)
    return image, mask


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def kinds(engine: FakeEngine) -> masklet.image.Prototypes:
    return masklet.learn_names([(*scene(name, n), name) for name in COLOURS for n in range(3)], engine)


def test_things_are_called_as_those_that_look_like_them(engine: FakeEngine, kinds: masklet.image.Prototypes) -> None:
    assert kinds.names == tuple(COLOURS)
    for name in COLOURS:
        for seed in range(10, 15):
            image, mask = scene(name, seed)
            (found,) = masklet.name_masks(image, [mask], kinds, engine)
            assert found.name == name
            assert found.likeness == max(found.likenesses) <= 1
            assert masklet.name_masks(image, [mask], kinds, engine, least=1)[0].name == ""


def test_a_likeness_asked_for_leaves_others_without_a_name(engine: FakeEngine) -> None:
    image, mask = scene("cherry", 3)
    kinds = masklet.learn_names([(image, mask, "cherry"), (*scene("lime", 4), "lime")], engine)
    (same,) = masklet.name_masks(image, [mask], kinds, engine)
    assert same.likeness == pytest.approx(1, abs=1e-5)
    (other,) = masklet.name_masks(*[[one] if n else one for n, one in enumerate(scene("plum", 5))], kinds, engine)  # type: ignore[arg-type]
    assert other.likeness < same.likeness
    (unnamed,) = masklet.name_masks(image, [~mask], kinds, engine, least=other.likeness + 0.2)
    assert unnamed.name == ""


def test_examples_have_no_order_and_masks_are_named_alone(engine: FakeEngine, kinds: masklet.image.Prototypes) -> None:
    turned = masklet.learn_names([(*scene(name, n), name) for n in (2, 0, 1) for name in COLOURS], engine)
    (image, mask), (_, other) = scene("lime", 30), scene("lime", 31)
    both = masklet.name_masks(image, [mask, other], kinds, engine)
    again = masklet.name_masks(image, [mask], turned, engine)
    np.testing.assert_allclose(both[0].likenesses, again[0].likenesses, atol=1e-4)


def test_what_lies_around_a_thing_counts(engine: FakeEngine) -> None:
    def cherry(around: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        image, mask = scene("cherry", seed)
        return np.where(mask[..., None], image, np.uint8(around)), mask

    kinds = masklet.learn_names(
        [(*cherry(grey, n), name) for name, grey in (("in snow", 240), ("in coal", 15)) for n in range(2)], engine
    )
    for name, grey in (("in snow", 235), ("in coal", 25)):
        image, mask = cherry(grey, 7)
        assert masklet.name_masks(image, [mask], kinds, engine)[0].name == name


def test_differences_within_a_name_count_alike_in_all_directions() -> None:
    rest = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32) * [10, 1, 0.1]
    rest = np.asarray(rest, np.float32)
    spread = np.cov((rest @ evening(rest)).T)
    assert spread[~np.eye(3, dtype=bool)] == pytest.approx(0, abs=0.02)
    assert 0.7 < spread.max() <= 1
    np.testing.assert_array_equal(evening(np.zeros((4, 3), np.float32)), np.eye(3))
    np.testing.assert_array_equal(unit(np.zeros(3, np.float32)), np.zeros(3))


def test_a_crop_is_square_and_stays_in_the_picture() -> None:
    image, mask = np.zeros((100, 200, 3), np.uint8), np.zeros((100, 200), bool)
    mask[40:50, 40:60] = True
    crop = crop_of(image, mask, "it")
    assert crop.image.shape == (32, 32, 3)
    assert crop.mask.sum() == 200
    assert crop_of(image, ~mask, "it").image.shape == (100, 200, 3)


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ([], "there are examples of no name; give some of at least two"),
        ([(*scene("lime", 0), "lime")], "only of 'lime'"),
        ([(scene("lime", 0)[0], np.zeros(SIZE, bool), "lime")], "the mask of example 0 is empty"),
        ([(*scene("lime", 0), " ")], "example 0 has the name ' '; give a text"),
        ([(*scene("lime", 0), None), (*scene("plum", 0), "plum")], "example 0 has the name None; give a text"),
        ([(scene("lime", 0)[0], np.ones((3, 3), bool), "a")], r"mask has the shape \(3, 3\)"),
    ],
)
def test_bad_examples_have_their_sentence(examples: Any, said: str, engine: FakeEngine) -> None:
    with pytest.raises(PromptError, match=said):
        masklet.learn_names(examples, engine)


def test_bad_wishes_have_their_sentence(engine: FakeEngine, kinds: masklet.image.Prototypes) -> None:
    image, mask = scene("lime", 0)
    with pytest.raises(PromptError, match="least is 2; give a number from -1 to 1"):
        masklet.name_masks(image, [mask], kinds, engine, least=2)
    with pytest.raises(PromptError, match="mask 1 is empty; leave it out"):
        masklet.name_masks(image, [mask, mask & ~mask], kinds, engine)
    other = replace(kinds, config=replace(kinds.config, name="other"))
    with pytest.raises(PromptError, match=r"other at \d+ pixels learned the names, and fake at \d+ pixels looks"):
        masklet.name_masks(image, [mask], other, engine)
    assert masklet.name_masks(image, [], kinds, engine) == []
