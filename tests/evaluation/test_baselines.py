"""Baselines: what each does with a mask, a box, and clicks."""

from __future__ import annotations

import numpy as np
import pytest

from masklet.errors import EvaluationError
from masklet.evaluation.methods import BASELINES, MethodChoice, carry_by_flow, cut_prompt, find_method
from masklet.media.frames import ArrayFrames
from masklet.metrics.jf import region_similarity
from masklet.prompts import Prompt

SIZE = (96, 128)


def scene(x: int) -> tuple[np.ndarray, np.ndarray]:
    """A red disk with a texture before a bluish noise, and its mask."""
    rows, columns = np.indices(SIZE)
    random = np.random.default_rng(0)
    image = np.stack([random.integers(0, 60, SIZE), random.integers(0, 60, SIZE), random.integers(90, 220, SIZE)], -1)
    mask = (columns - x) ** 2 + (rows - 48) ** 2 < 20**2
    image[mask] = np.stack([200 + 40 * np.sin((columns - x) / 3), 30 + rows % 20, 0 * rows + 20], -1)[mask]
    return image.astype(np.uint8), mask


def test_grabcut_finds_what_has_a_colour_of_its_own() -> None:
    image, mask = scene(60)
    boxed = cut_prompt(image, Prompt(box=(34, 22, 86, 74)))
    assert region_similarity(boxed, mask) > 0.85
    clicked = cut_prompt(image, Prompt(points=((60, 48), (10, 10)), labels=(1, 0)))
    assert region_similarity(clicked, mask) > 0.5
    assert (cut_prompt(image, Prompt(box=(34, 22, 86, 74))) == boxed).all()  # no chance in it


@pytest.mark.parametrize("box", [(0.2, 0.3, 0.9, 0.8), (0, 0, 128, 96), (127, 95, 128, 96)])
def test_grabcut_takes_any_box(box: tuple[float, ...]) -> None:
    assert cut_prompt(scene(60)[0], Prompt(box=box)).shape == SIZE  # type: ignore[arg-type]


def test_flow_carries_a_mask_along() -> None:
    (image, mask), (following, moved) = scene(50), scene(55)
    carried = carry_by_flow(image, following, {1: mask.astype(np.float32)})
    assert region_similarity(carried[1] > 0.5, moved) > region_similarity(mask, moved) + 0.1


@pytest.mark.parametrize("name", BASELINES)
def test_a_session_goes_on_from_the_frame_that_was_corrected(name: str) -> None:
    scenes = [scene(50 + 4 * frame) for frame in range(4)]
    source = ArrayFrames(np.stack([image for image, _ in scenes]))
    with BASELINES[name].track(source) as session:
        session.prompt(0, 1, Prompt(mask=scenes[0][1]))
        assert [result.frame for result in session.follow(0)] == [0, 1, 2, 3]
        for result in session.follow(0):
            if result.frame == 2:
                break
        session.prompt(2, 7, Prompt(mask=scenes[2][1]))
        results = list(session.follow(2))
    assert [result.frame for result in results] == [2, 3]
    assert set(results[-1].objects) == {1, 7}
    assert region_similarity(results[0].objects[7].mask, scenes[2][1]) == 1


def test_an_unknown_baseline_is_told_with_the_nearest() -> None:
    with pytest.raises(EvaluationError, match="unknown baseline 'stil'; nearest: still"):
        MethodChoice(baseline="stil")


def test_what_was_loaded_is_kept() -> None:
    assert find_method(MethodChoice(baseline="flow")) is find_method(MethodChoice(baseline="flow"))
