"""Prompts as the network sees them: scaled to its square, and padded to one length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from masklet.engines.rules import pad_prompts
from masklet.prompts import Prompt, make_prompt

SIZE = (60, 100)  # height, width


def padded_at(image_size: int, prompts: Sequence[Prompt | None]) -> SimpleNamespace:
    """The tokens as arrays; where nothing is padding, `keep` is all True."""
    config = SimpleNamespace(image_size=image_size, mask_size=image_size // 4)
    engine: Any = SimpleNamespace(config=config, absent_pointer=np.zeros((1, 8), np.float32))
    tokens = pad_prompts(engine, prompts, SIZE)
    keep = np.ones(tokens.labels.shape, bool) if tokens.keep is None else tokens.keep
    return SimpleNamespace(**tokens._asdict() | {"keep": keep, "given": tokens.keep_masks})


def test_tokens_are_box_points_and_one_that_is_not_a_point() -> None:
    both = make_prompt(SIZE, points=[(50, 30), (0, 60)], labels=[1, 0], box=(10, 6, 100, 60))
    padded = padded_at(200, [both, make_prompt(SIZE, points=[(25, 15)]), None])
    assert padded.points.dtype == np.float32
    assert padded.labels.tolist() == [[2, 3, 1, 0, -1], [1, -1, -1, -1, -1], [-1] * 5]
    assert padded.keep.tolist() == [[True] * 5, [True] * 2 + [False] * 3, [True] * 2 + [False] * 3]
    assert padded.points[0].tolist() == [[20, 20], [200, 200], [100, 100], [0, 200], [0, 0]]
    assert padded.points[1].tolist() == [[50, 50], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert not padded.points[2].any()


def test_mask_alone_has_the_tokens_of_no_points() -> None:
    padded = padded_at(200, [make_prompt(SIZE, mask=np.ones(SIZE, bool))])
    assert padded.labels.tolist() == [[-1, -1]]
    assert padded.keep.all()


def test_no_objects() -> None:
    padded = padded_at(200, [])
    assert (padded.points.shape, padded.labels.shape, padded.keep.shape) == ((0, 0, 2), (0, 0), (0, 0))


@st.composite
def prompts(draw: Callable[..., Any]) -> Prompt | None:
    height, width = SIZE
    points = draw(st.lists(st.tuples(st.floats(0, width), st.floats(0, height)), max_size=4))
    labels = [draw(st.integers(0, 1)) for _ in points]
    box = draw(st.none() | st.just((1.0, 2.0, 30.5, 40.25)))
    return make_prompt(SIZE, points=points, labels=labels, box=box) if points or box else None


@given(st.lists(prompts(), min_size=1, max_size=5), st.sampled_from([128, 512, 1024]))
def test_padding_changes_no_object(several: list[Prompt | None], image_size: int) -> None:
    padded = padded_at(image_size, several)
    counts = [max(2, 1 + 2 * bool(p and p.box) + len(p.points if p else ())) for p in several]
    assert padded.keep.sum(axis=1).tolist() == counts
    assert padded.keep.shape[1] == max(counts)
    assert (padded.labels[~padded.keep] == -1).all()
    for slot, (prompt, count) in enumerate(zip(several, counts, strict=True)):
        alone = padded_at(image_size, [prompt])
        assert alone.keep.all()
        np.testing.assert_array_equal(padded.points[slot, :count], alone.points[0])
        np.testing.assert_array_equal(padded.labels[slot, :count], alone.labels[0])


@given(st.floats(0, 100), st.floats(0, 60), st.sampled_from([128, 512, 1024]))
def test_points_are_scaled_axis_by_axis(x: float, y: float, image_size: int) -> None:
    padded = padded_at(image_size, [make_prompt(SIZE, points=[(x, y)])])
    np.testing.assert_allclose(padded.points[0, 0], [x / 100 * image_size, y / 60 * image_size], rtol=1e-6, atol=1e-30)
    assert (padded.points <= image_size).all()


def test_an_earlier_answer_alone_has_no_token_and_is_a_mask() -> None:
    logits = np.full((50, 50), 3, np.float32)
    padded = padded_at(200, [Prompt(logits=logits), make_prompt(SIZE, points=[(25, 15)])])
    assert padded.keep.tolist() == [[False, False], [True, True]]
    assert padded.given.tolist() == [True, False]
    assert (padded.masks[0] == 3).all()
    assert not padded.masks[1].any()
    alone = padded_at(200, [Prompt(logits=logits)])
    assert (alone.keep.tolist(), alone.given) == ([[False, False]], None)
