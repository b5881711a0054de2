"""Changing a recipe from the command line: what is taken, and what is said of the rest."""

from __future__ import annotations

import pytest

from masklet.errors import ConfigError
from masklet.training.recipes import nano, override
from masklet.training.synthesis import FIRST_THING, MAX_THINGS, VOID


def test_the_rate_of_a_part_within_a_part() -> None:
    recipe = override(nano("nano"), ["stages.clips-320.optimizer.parts.image_encoder.neck=0.5"])
    parts = {stage.name: stage.optimizer.parts for stage in recipe.stages}["clips-320"]
    assert parts == {"image_encoder": 0.4, "image_encoder.trunk": 0.25, "image_encoder.neck": 0.5}


def test_values_of_every_kind() -> None:
    settings = ["stages.*.freeze=image_encoder", "stages.*.feed.scene.extent=(0.1, 1)", "stages.*.still_clips=False"]
    settings += ["stages.*.optimizer.rate=1", "stages.*.optimizer.schedule=reciprocal", "low_rank=2"]
    recipe = override(nano("nano"), settings)
    stage = recipe.stages[1]
    assert (stage.freeze, stage.feed.scene.extent, stage.still_clips) == (("image_encoder",), (0.1, 1.0), False)
    assert (stage.optimizer.rate, stage.optimizer.schedule, recipe.low_rank) == (1.0, "reciprocal", 2)
    assert override(recipe, ["stages.*.freeze=()"]).stages[0].freeze == ()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("stages=1", r"stages has fields of its own; set one of them, such as stages\.\*\.steps"),
        ("stages=()", "stages has fields of its own"),
        ("stages.*.feed=1", r"such as stages\.\*\.feed\.pictures"),
        ("stages.*.optimizer.parts=1", r"such as stages\.\*\.optimizer\.parts\.image_encoder\.trunk"),
        ("stages.*.freeze=1", "'1' is of another kind"),
        ("stages.*.feed.scene.extent=0.5", "'0.5' has not 2 numbers"),
        ("stages.*.still_clips=1", "'1' is of another kind"),
        ("stages.*.steps=-1", r"stages\.pictures-256\.steps is -1; give a number from 0 on"),
        ("stages.*.optimizer.rate=-1", r"optimizer\.rate is -1\.0; give a number from 0 on"),
        ("stages.*.optimizer.rate=1e999", r"optimizer\.rate is inf; give 0 to 1000000000"),
        ("stages.*.optimizer.parts.image_encoder=-1", r"parts\.image_encoder is -1\.0; give a number from 0 on"),
        ("stages.*.feed.clip_share=1.5", r"feed\.clip_share is 1\.5; give 0 to 1"),
        ("stages.*.feed.scene.things=8", r"scene\.things is 8; give 0 to 7"),
        ("stages.*.steps=0", "all stages have 0 steps, so nothing learns"),
        ("seed=-1", "seed is -1; give a number from 0 on"),
        (f"seed={2**64}", f"seed is {2**64}; give 0 to {2**63 - 1}"),
        ("stages.*.image_size=100000", "image_size is 100000; give 1 to 4096"),
        ("stages.*.steps=10000000000", "steps is 10000000000; give 0 to 1000000000"),
        ("low_rank=100000", "low_rank is 100000; give 0 to 1024"),
    ],
)
def test_what_makes_no_sense_is_refused(setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(nano("nano"), [setting])


def test_all_things_have_numbers_that_an_index_map_bears() -> None:
    """Each thing may come with another that looks the same, and something passes by."""
    assert FIRST_THING + 2 * MAX_THINGS + 1 <= VOID
