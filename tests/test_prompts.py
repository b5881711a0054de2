from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from masklet.errors import PromptError
from masklet.prompts import Prompt, make_prompt

SIZE = (60, 100)  # height, width


def test_what_people_type_becomes_plain_numbers() -> None:
    prompt = make_prompt(SIZE, points=np.array([[1, 2], [100, 60]]), labels=[True, 0], box=[0, 0, 100.0, 60])
    assert prompt == Prompt(points=((1.0, 2.0), (100.0, 60.0)), labels=(1, 0), box=(0.0, 0.0, 100.0, 60.0))


def test_points_without_labels_include() -> None:
    assert make_prompt(SIZE, points=[(1, 2), (3, 4)]).labels == (1, 1)


def test_mask_is_a_read_only_copy() -> None:
    given_mask = np.zeros(SIZE, np.uint8)
    given_mask[3, 4] = 255
    prompt = make_prompt(SIZE, mask=given_mask)
    given_mask[:] = 0
    assert prompt.mask is not None
    assert prompt.mask.dtype == np.bool_
    assert np.argwhere(prompt.mask).tolist() == [[3, 4]]
    assert not prompt.mask.flags.writeable


def test_empty_mask_says_the_object_is_not_there() -> None:
    prompt = make_prompt(SIZE, mask=np.zeros(SIZE, bool))
    assert prompt.mask is not None
    assert not prompt.mask.any()


@pytest.mark.parametrize(
    ("given", "cut"),
    [
        ((-1, 10, 10, 20), (0, 10, 10, 20)),
        ((90, 50, 400, 71), (90, 50, 100, 60)),
        ((-9, -9, 900, 900), (0, 0, 100, 60)),
    ],
)
def test_a_box_is_cut_to_the_picture(given: tuple[int, ...], cut: tuple[int, ...]) -> None:
    assert make_prompt(SIZE, box=given).box == cut


def test_prompts_compare_and_hash_by_value() -> None:
    mask = np.eye(4, dtype=bool)
    one, same, other = (make_prompt((4, 4), mask=m) for m in (mask, mask.copy(), ~mask))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "a prompt"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            {"points": [(1, 1), (2, 2)], "labels": [1, 0, 1]},
            ["labels has 3 entries for 2 points", "give one label (1 include, 0 exclude) per point"],
        ),
        ({"points": [(1, 1)], "labels": []}, ["labels has 0 entries for 1 point;"]),
        ({"labels": [1]}, ["labels has 1 entry for 0 points"]),
        ({"points": [(1, 1)], "labels": [2]}, ["labels holds 2", "1 (include) or 0 (exclude)"]),
        ({"points": [(1, 1)], "labels": [0.5]}, ["labels holds 0.5"]),
        ({"points": [(1, float("nan"))]}, ["points holds nan", "finite"]),
        ({"points": [(float("inf"), 1)]}, ["points holds inf"]),
        ({"points": [(101, 5)]}, ["the point (101, 5) lies outside", "100 wide and 60 high", "x in 0..100"]),
        ({"points": [(5, -0.5)]}, ["the point (5, -0.5) lies outside", "y in 0..60"]),
        ({"points": (5, 6)}, ["points has the shape (2,)", "[(x, y), (x, y)]"]),
        ({"points": [(1, 2), (3,)]}, ["points is [(1, 2), (3,)]", "not an array of numbers"]),
        ({"points": "here"}, ["points is 'here'"]),
        ({"box": (10, 10, 10, 20)}, ["the box (10, 10, 10, 20) has no area", "x0 < x1"]),
        ({"box": (10, 30, 20, 20)}, ["has no area", "y0 < y1"]),
        ({"box": (-5, 10, 0, 20)}, ["the box (-5, 10, 0, 20) does not lie in", "100 wide and 60 high"]),
        ({"box": (10, 60, 20, 61)}, ["does not lie in the picture", "y in 0..60"]),
        ({"box": (200, 200, 300, 300)}, ["does not lie in the picture"]),
        ({"box": (1, 2, 3)}, ["box has the shape (3,)", "(x0, y0, x1, y1)"]),
        ({"box": (1, 2, 3, float("nan"))}, ["box holds nan"]),
        ({"mask": np.zeros((100, 60), bool)}, ["mask has the shape (100, 60)", "(60, 100)"]),
        ({"mask": np.zeros(SIZE, np.float32)}, ["mask is of type float32", "logits > 0"]),
        ({"mask": np.arange(6000).reshape(SIZE) % 4}, ["mask holds 3 values besides 0", "index_map == 1"]),
        ({}, ["the prompt is empty", "points, a box or a mask"]),
        ({"points": [], "labels": []}, ["the prompt is empty"]),
        ({"mask": np.ones(SIZE, bool), "points": [(1, 1)]}, ["a mask came together with points"]),
        ({"mask": np.ones(SIZE, bool), "box": (1, 1, 2, 2)}, ["a mask came together with a box"]),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(PromptError) as caught:
        make_prompt(SIZE, **arguments)
    for part in parts:
        assert part in str(caught.value)
