"""Fixtures for tests of checkpoints: no network, no cache but a temporary one, published files without their size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from masklet.checkpoints import hub
from masklet.checkpoints.load import blank_network
from masklet.nn import NANO, VARIANTS, HieraConfig, ModelConfig

State = dict[str, torch.Tensor]

TOY = ModelConfig(
    name="toy",
    encoder=HieraConfig(width=8, heads=1, depths=(1, 2, 2, 1), global_blocks=(4,)),
    image_size=64,
    width=32,
    memory_width=8,
    attention_layers=1,
    attention_mlp=16,
    decoder_mlp=16,
    head_width=16,
)
"""Like a published model, but of no published size."""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and nothing of this machine's caches."""

    def refuse(repo: str, file: str) -> Path:
        raise ConnectionError("no network in tests")

    monkeypatch.setenv("MASKLET_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "_download", refuse)


@pytest.fixture
def published() -> Callable[[str], State]:
    """The state dict of a named model: true keys and shapes, every tensor filled with one number of its own.

    All elements of a tensor share one place in memory, so that files of it are small.
    """

    def make(name: str) -> State:
        shapes = blank_network(NANO if name == "nano" else VARIANTS[name]).state_dict()
        return {
            key: torch.tensor(index + 1.0).to(tensor.dtype).expand(tensor.shape)
            for index, (key, tensor) in enumerate(shapes.items())
        }

    return make


@pytest.fixture(scope="session")
def toy_config() -> ModelConfig:
    return TOY


@pytest.fixture
def published_toy(monkeypatch: pytest.MonkeyPatch, published: Callable[[str], State]) -> State:
    """The state dict of a model as small as `toy_config`, which counts as published for one test."""
    monkeypatch.setitem(VARIANTS, "toy", TOY)
    return {key: tensor.contiguous() for key, tensor in published("toy").items()}
