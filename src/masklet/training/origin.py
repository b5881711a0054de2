"""What a run was begun with: its recipe, its data and its first weights. It goes on only with the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from masklet.errors import TrainingError
from masklet.nn import Network
from masklet.training.data.mixture import Collection
from masklet.training.recipe import Recipe, recipe_text

ROUNDING = 1e-5
"""Random weights of one seed may differ by about a hundredth of this share on another processor."""


@dataclass(frozen=True)
class Origin:
    """What tells a run from others.

    Attributes:
        recipe: All of the recipe, as text.
        data: A line for each collection: name, number of items, weight and licence, but not where it lies.
        weights: The mean size of each of the first weights, by name and shape.
    """

    recipe: str
    data: str
    weights: Mapping[str, float]


def origin_of(recipe: Recipe, data: Sequence[Collection], network: Network) -> Origin:
    """What a run with these is told by."""
    sizes = {
        f"{name} {tuple(weight.shape)}": float(weight.detach().abs().double().mean())
        for name, weight in network.named_parameters()
    }
    return Origin(recipe_text(recipe), "\n".join(map(_line, data)), sizes)


def check_same(folder: Path, model: str, there: Origin, here: Origin) -> None:
    """Raises TrainingError, which names the first difference, if the run in a folder was begun with anything else."""
    if there.recipe != here.recipe:
        raise TrainingError(
            f"{folder} holds a run of another recipe ({_difference(there.recipe, here.recipe)}); "
            "give the same options to go on, or another folder"
        )
    if there.data != here.data:
        raise TrainingError(
            f"{folder} holds a run with other data ({_difference(there.data, here.data)}); "
            "give the same data and licence to go on, or another folder"
        )
    if there.weights.keys() != here.weights.keys():
        raise TrainingError(
            f"{folder} holds a run of another network that is called {model} too; "
            "give the same model to go on, or another folder"
        )
    if any(not math.isclose(there.weights[name], size, rel_tol=ROUNDING) for name, size in here.weights.items()):
        raise TrainingError(
            f"{folder} holds a run that began with other weights; begin with the same to go on, or give another folder"
        )


def _line(collection: Collection) -> str:
    licence = f", licence {collection.licence}" if collection.licence else ""
    return f"{collection.name}: {len(collection.clips)} items, weight {collection.weight:g}{licence}"


def _difference(there: str, here: str) -> str:
    pairs = zip_longest(there.splitlines(), here.splitlines(), fillvalue="nothing")
    old, new = next((old, new) for old, new in pairs if old != new)
    return f"{old.strip().rstrip(',')} there, {new.strip().rstrip(',')} here"
