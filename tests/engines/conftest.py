"""Engines that the contract is run over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from masklet.checkpoints import build_model
from masklet.engines.base import Engine
from masklet.engines.fake import FakeEngine
from masklet.nn import ConvNetConfig, HieraConfig, ModelConfig

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


def build(**changes: object) -> Engine:
    return build_model(TOY, seed=1, **changes)


ENGINES: dict[str, Callable[[], Engine]] = {
    "torch, hiera": build,
    "torch, convnet": lambda: build(encoder=ConvNetConfig((8, 8, 16, 16), (1, 1, 1, 1)), head="refining"),
    "fake": FakeEngine,
}


@pytest.fixture(scope="session")
def toy_config() -> ModelConfig:
    return TOY


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]()
