"""Checkpoints that are damaged, of another format, or left half written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from masklet.errors import TrainingError
from masklet.training.data import read_data
from masklet.training.loop import (
    CHECKPOINT_FILE,
    CHECKPOINT_FORMAT,
    Checkpoint,
    Origin,
    RunOptions,
    load_checkpoint,
    save_checkpoint,
    train,
)
from tests.training.shapes import recipe, tiny_network

BEGUN = Origin("{}", "films: 2 items", {"a (1,)": 0.5})
GIVEN = Checkpoint(BEGUN, 1, 20, {"a": torch.ones(1)}, {}, {}, float("-inf"))


def save(content: object) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    save_checkpoint(tmp_path, GIVEN)
    assert load_checkpoint(tmp_path) == GIVEN


@pytest.mark.parametrize(
    "harm",
    [
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no checkpoint"),
        save([1, 2]),
        save({"step": 1}),
        save({"format": CHECKPOINT_FORMAT, "step": 1}),
        save({"format": CHECKPOINT_FORMAT, **vars(GIVEN), "origin": {"recipe": ""}}),
        save({"format": CHECKPOINT_FORMAT, "origin": Path("code")}),
    ],
    ids=["cut", "empty", "text", "a list", "no format", "too little", "half an origin", "code"],
)
def test_a_damaged_checkpoint(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    save_checkpoint(tmp_path, GIVEN)
    harm(tmp_path / CHECKPOINT_FILE)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is no whole checkpoint; remove it to begin again"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_another_format(tmp_path: Path) -> None:
    """Its fields are others too."""
    torch.save({"format": 1, "weights": {}}, tmp_path / CHECKPOINT_FILE)
    with pytest.raises(TrainingError, match=f"has format 1, this masklet reads {CHECKPOINT_FORMAT}; begin again in"):
        load_checkpoint(tmp_path)


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path, shapes: Path) -> None:
    for name in (".checkpoint.pt.123.partial", ".model.safetensors.45.partial", ".mine"):
        (tmp_path / name).write_bytes(b"half")
    data = read_data([str(shapes)])
    train(recipe(1), tiny_network(), data, RunOptions(tmp_path))
    assert [file.name for file in tmp_path.glob(".*")] == [".mine"]
