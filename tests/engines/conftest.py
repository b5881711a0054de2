"""Engines that the contract is run over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from masklet.checkpoints import build_model
from masklet.checkpoints.models import open_exported
from masklet.engines.base import Engine
from masklet.engines.fake import FakeEngine
from masklet.engines.torch import Model
from masklet.export import package, write_graphs
from masklet.nn import ConvNetConfig, ModelConfig
from tests.checkpoints.conftest import TOY

REFINING = dataclasses.replace(TOY, encoder=ConvNetConfig((8, 8, 16, 16), (1, 1, 1, 1)), head="refining")
SMALLEST = dataclasses.replace(REFINING, fusion_layers=1, decoder_layers=1)
"""Little to trace, so that its graphs are written in seconds."""


@dataclasses.dataclass(frozen=True)
class Graphs:
    """A model and the ONNX graphs of its four functions."""

    model: Model
    folder: Path

    def packed(self, out: Path, engine: str, *objects: int) -> Path:
        """A folder of an engine."""
        package(self.model, self.folder, out, engine=engine, objects=objects)
        return out


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    model, folder = build_model(SMALLEST, seed=1), tmp_path_factory.mktemp("graphs") / "plain"
    write_graphs(model, folder)
    return Graphs(model, folder)


TORCH: dict[str, Callable[[], Engine]] = {
    "torch, hiera": lambda: build_model(TOY, seed=1),
    "torch, convnet": lambda: build_model(REFINING, seed=1),
    "fake": FakeEngine,
}
EXPORTED = {"onnx": (), "onnx, fixed": (2,), "openvino": (1, 4)}
"""Names of engines of graphs, and the counts of objects that they are fixed to."""


@pytest.fixture(scope="session")
def toy_config() -> ModelConfig:
    return TOY


@pytest.fixture(scope="session", params=[*TORCH, *(pytest.param(name, marks=pytest.mark.slow) for name in EXPORTED)])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    if request.param in TORCH:
        return TORCH[request.param]()
    folder = tmp_path_factory.mktemp("exported") / "model"
    graphs: Graphs = request.getfixturevalue("graphs")
    return open_exported(graphs.packed(folder, request.param.partition(",")[0], *EXPORTED[request.param]))
