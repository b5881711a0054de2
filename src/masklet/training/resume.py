"""Checkpoints of a run: all that it needs to go on as if it had never stopped.

Batches and random numbers follow from the seed and the step, so that a step's number stands for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from masklet.atomic import atomic_write
from masklet.errors import TrainingError
from masklet.training.origin import Origin

FORMAT = 3
"""Raised when an older masklet could not go on from what this one writes."""

CHECKPOINT = "checkpoint.pt"
"""The file's name in the folder of a run."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is.

    Attributes:
        origin: What the run was begun with.
        stage: Number of the stage.
        step: Steps of it that are done.
        network: State of the network.
        average: State of the running average; empty if none is kept.
        optimizer: State of the optimizer.
        best: The best figure of a validation so far.
    """

    origin: Origin
    stage: int
    step: int
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    best: float


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
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content.pop("format")
        checkpoint = _checkpoint(content) if version == FORMAT else None
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}") from error
    except (RuntimeError, UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(f"{path} is no whole checkpoint; remove it to begin again") from error
    if checkpoint is None:
        raise TrainingError(f"{path} has format {version}, this masklet reads {FORMAT}; begin again in another folder")
    return checkpoint


def _checkpoint(content: dict[str, Any]) -> Checkpoint:
    return Checkpoint(Origin(**content.pop("origin")), **content)
