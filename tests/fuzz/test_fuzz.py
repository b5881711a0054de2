"""A seeded fuzz of every reader: the same cases each time. `scripts/fuzz` runs new ones for as long as one likes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

import pytest

from masklet.formats.registry import formats
from tests.fuzz.mutations import mutate_json
from tests.fuzz.readers import TARGETS, attempt

CASES = {"weights": 24, "projects": 150, "videos": 150}
"""How many, where it is not 100. Each takes some milliseconds, one of weights some tenths of a second."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    whole = tmp_path / "whole"
    whole.mkdir()
    seeds = target.make(whole)
    for seed in seeds:
        target.read(seed)
    folder = tmp_path / "damaged"
    shutil.copytree(whole, folder)
    for number in range(CASES.get(name, 100)):
        seed = seeds[number % len(seeds)]
        attempt(target, seed, number, folder / seed.relative_to(whole))


def test_every_format_that_is_read_is_damaged() -> None:
    assert {name for name, entry in formats().items() if entry.read} - {"project"} <= {*TARGETS}
    assert "projects" in TARGETS


def test_a_case_does_not_depend_on_those_before_it() -> None:
    text = json.dumps({"a": [1, {"b": []}], "c": {}}).encode()
    first, again = ([mutate_json(Random(number), text) for number in range(200)] for _ in range(2))
    assert first == again
