"""The simulated annotator: the same clicks for the same seed and occasion, none on what nobody knows."""

from __future__ import annotations

import numpy as np

from masklet.evaluation.protocols import Annotator, box_prompt

TRUTH = np.zeros((40, 60), np.bool_)
TRUTH[10:30, 20:50] = True


def test_random_clicks_are_those_of_seed_and_occasion() -> None:
    def clicks(seed: int, occasion: str) -> list[object]:
        return [Annotator("random", seed).click(None, TRUTH, occasion=f"{occasion}/{n}") for n in range(4)]

    assert clicks(1, "dog/1/0") == clicks(1, "dog/1/0")
    assert clicks(1, "dog/1/0") != clicks(2, "dog/1/0")
    assert clicks(1, "dog/1/0") != clicks(1, "dog/2/0")


def test_unknown_pixels_are_never_clicked() -> None:
    void = np.zeros_like(TRUTH)
    void[:, 20:45] = True
    for manner in ("centre", "random"):
        click = Annotator(manner).click(None, TRUTH, void)  # type: ignore[arg-type]
        assert click is not None
        assert click.points[0][0] >= 45
    assert Annotator().click(None, TRUTH, TRUTH) is None


def test_it_stops_clicking_where_all_is_right() -> None:
    asked = []

    def ask(prompt: object) -> np.ndarray:
        asked.append(prompt)
        return TRUTH

    made, answer = Annotator().clicks(5, ask, None, TRUTH)
    assert (made, len(asked)) == (1, 1)
    assert answer is TRUTH


def test_a_box_is_drawn_around_the_mask() -> None:
    assert box_prompt(TRUTH).box == (20, 10, 50, 30)
