"""What was typed for many videos, and for one of them."""

from __future__ import annotations

from pathlib import Path

from masklet.jobs.prompts import TypedPrompt, prompts_of


def test_a_box_of_one_video_takes_the_place_of_that_for_all() -> None:
    box, other, click = (0.0, 0.0, 9.0, 9.0), (2.0, 2.0, 8.0, 8.0), ((3.0, 3.0),)
    for_all = [TypedPrompt(0, 1, box=box, points=click), TypedPrompt(0, 2, box=box), TypedPrompt(5, 1, box=box)]
    found = prompts_of(Path("walk.mp4"), {"": for_all, "walk": [TypedPrompt(0, 2, box=other)]}, [
        TypedPrompt(0, 1, mask=Path("a.png"))
    ])  # fmt: skip
    assert found == (
        TypedPrompt(0, 1, points=click),
        TypedPrompt(5, 1, box=box),
        TypedPrompt(0, 2, box=other),
        TypedPrompt(0, 1, mask=Path("a.png")),
    )
    assert prompts_of(Path("run.mp4"), {"": for_all}) == tuple(for_all)
