"""What `masklet train` and `masklet finetune` do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from masklet.checkpoints import build_model
from masklet.checkpoints.load import choose_device, load_torch_model
from masklet.errors import CheckpointError, ConfigError
from masklet.loop.validation import held_out
from masklet.training.data.mixture import Collection, find_duplicates, read_data
from masklet.training.loop import MODEL, RunOptions, Validate, train
from masklet.training.trunk import is_learned, load_trunk

if TYPE_CHECKING:
    from masklet.cli.choices import TrainingChoice
    from masklet.nn import Network
    from masklet.training.recipe import Recipe

MOST_NAMED = 5
"""So many duplicates are named."""


def initial_network(name: str, start: str | None, seed: int, trunk: str | None = None) -> Network:
    """The weights that a training begins with: those of a model, or random ones with or without a trunk that has
    learned to see (`load_trunk`), as the trunk allows if that is not said.

    Raises CheckpointError if the model is of another variant, or the trunk's weights are not there.
    """
    if start and trunk:
        raise ConfigError(f"--start {start} brings a trunk with it; leave out --trunk")
    model = load_torch_model(start, device="cpu") if start else build_model(name, seed=seed)
    if start and start != name and model.name != name:
        raise CheckpointError(f"{start} holds {model.name}, not {name}; give one of {name}, or use masklet finetune")
    if not start and (trunk == "imagenet" or (trunk is None and is_learned(model.config.encoder))):
        load_trunk(model.network)
    return model.network.requires_grad_(True)


def run_training(
    recipe: Recipe, network: Network, data: list[str], licence: str | None, folder: Path, choice: TrainingChoice
) -> None:
    """Read the data, train, and say where the model is."""
    collections = read_data(data, licence=licence)
    count = sum(len(collection.clips) for collection in collections)
    typer.echo(f"pictures and videos: {count}; collections: {len(collections)}", err=True)
    of_run = {field.name for field in fields(RunOptions)}
    run = RunOptions(folder, **{name: value for name, value in vars(choice).items() if name in of_run})
    validate = judge_on(choice.validate_on, collections) if choice.validate_on else None
    train(recipe, network, collections, run, device=choose_device(choice.device), validate=validate)
    typer.echo(f"the model is {folder / MODEL}")


def judge_on(texts: list[str], learned: Sequence[Collection]) -> Validate:
    """The function that measures the model, on data as it was typed. Warns of pictures that are learned from too."""
    collections = read_data(texts, split="val")
    if found := find_duplicates(learned, collections):
        named = "; ".join(f"{judged} looks like {known}" for known, judged in found[:MOST_NAMED])
        more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        typer.echo(
            f"warning: pictures to validate on are in the training data, so their figures are too good: {named}{more}",
            err=True,
        )
    return held_out(collections)
