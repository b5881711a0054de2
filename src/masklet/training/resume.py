"""Checkpoints of a run: all that it needs to go on as if it had never stopped, and what it was begun with, its recipe,
its data and its first weights. It goes on only with the same.

Batches and random numbers follow from the seed and the step, so that a step's number stands for both.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from masklet.atomic import atomic_write
from masklet.errors import TrainingError
from masklet.nn import Network
from masklet.training.data.mixture import Collection
from masklet.training.recipe import Recipe, recipe_text

FORMAT = 5
"""Raised when an older masklet could not go on from what this one writes."""

CHECKPOINT = "checkpoint.pt"
"""The file's name in the folder of a run."""


ROUNDING = 1e-5
"""Random weights of one seed may differ by about a hundredth of this share on another processor."""


@dataclass(frozen=True)
class Origin:
    """What distinguishes a run from others."""

    recipe: str  # all of the recipe, as text
    data: str  # A line for each collection: name, number of items, weight and licence, but not where it lies
    weights: Mapping[str, float]  # the mean size of each of the first weights, by name and shape


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is."""

    origin: Origin  # what the run was begun with
    stage: int  # number of the stage
    step: int  # steps of it that are done
    network: dict[str, Any]  # state of the network
    average: dict[str, Any]  # state of the running average; empty if none is kept
    optimizer: dict[str, Any]  # state of the optimizer
    best: float  # the best figure of a validation so far


def origin_of(recipe: Recipe, data: Sequence[Collection], network: Network) -> Origin:
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


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the last one stays until this one is whole. Raises FormatError if it cannot be written."""
    content = {**vars(checkpoint), "format": FORMAT, "origin": vars(checkpoint.origin)}
    save_tensors(content, folder / CHECKPOINT)


def save_tensors(content: Mapping[str, Any], path: Path) -> None:
    """Write what torch can pickle, in a file that appears when it is whole. Raises FormatError if it cannot be written.

    On a full disk torch may raise a RuntimeError of its writer, which knows the system's error as its context only.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint of a run; None if it has none yet. Raises TrainingError if it cannot be read."""
    path = folder / CHECKPOINT
    if not os.path.isfile(path):
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content.pop("format")
        origin = Origin(**content.pop("origin")) if version == FORMAT else None
        checkpoint = None if origin is None else Checkpoint(origin, **content)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}") from error
    except (RuntimeError, UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(f"{path} is no whole checkpoint; remove it to begin again") from error
    if checkpoint is None:
        raise TrainingError(f"{path} has format {version}, this masklet reads {FORMAT}; begin again in another folder")
    return checkpoint
