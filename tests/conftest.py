"""Fixtures that several tests share: the golden files, and the narrow network that they were made with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from safetensors.torch import load_file

from masklet.nn import HieraConfig, ModelConfig, Network

settings.register_profile("masklet", deadline=None)  # no test asserts a time
settings.load_profile("masklet")

GOLDEN = Path(__file__).parent / "golden"

SMALL = ModelConfig(
    name="golden-small",
    encoder=HieraConfig(width=24, heads=1, depths=(1, 2, 4, 2), global_blocks=(5,), windows=(8, 4, 10, 5)),
    image_size=192,
    width=64,
    memory_width=16,
    attention_layers=2,
    attention_mlp=128,
)


class Arrays:
    """The arrays of one golden file, as float tensors where they are floats."""

    def __init__(self, path: Path) -> None:
        self.arrays = np.load(path)

    def __getitem__(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[name])

    def get(self, name: str) -> torch.Tensor | None:
        return self[name] if name in self.arrays.files else None

    def cases(self) -> list[str]:
        """The names before the slash."""
        return sorted({name.split("/")[0] for name in self.arrays.files if "/" in name})


def read_arrays(name: str) -> Arrays:
    return Arrays(GOLDEN / name)


def read_json(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


def small_network(**changes: Any) -> Network:
    """The golden network, in evaluation, in float32, with fields of its configuration changed."""
    config = dataclasses.replace(SMALL, **changes)
    state = {key: tensor.float() for key, tensor in load_file(GOLDEN / "small/weights.safetensors").items()}
    if config.memory_frames != SMALL.memory_frames:
        extra = load_file(GOLDEN / "small/extra_maskmem_tpos_enc.safetensors")
        state["maskmem_tpos_enc"] = extra[f"maskmem_tpos_enc.{config.memory_frames}"].float()
    network = Network(config)
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    return network.eval().requires_grad_(False).prepare()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped, with the reason, where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device; there is none here"))


@pytest.fixture(scope="session")
def small() -> Network:
    return small_network()


@pytest.fixture(scope="session")
def golden() -> Any:
    return read_arrays
