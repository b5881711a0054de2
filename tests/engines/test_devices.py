"""Where exported graphs run: what is asked for, else the best there is."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import onnxruntime
import pytest

from masklet.engines.graphs import Exported, OnnxEngine
from masklet.errors import EngineError
from masklet.export import versions_of
from tests.checkpoints.conftest import TOY


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    """A description, on a machine with several execution providers."""
    providers = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    zeros = [0.0] * TOY.width
    return Exported(
        folder=Path("model"),
        engine="onnx",
        precision="float32",
        config=TOY,
        weights="",
        objects=(),
        files={},
        versions={},
        parity={},
        constants={"absent_pointer": zeros, "nothing": zeros, "shrink": [0.0] * 17},
    )


@pytest.mark.parametrize(
    ("device", "provider", "options"),
    [
        (None, "CUDAExecutionProvider", None),
        ("cpu", "CPUExecutionProvider", None),
        ("cuda:1", "CUDAExecutionProvider", [{"device_id": "1"}]),
        ("TensorRT", "TensorrtExecutionProvider", None),
    ],
)
def test_the_device_that_was_asked_for(exported: Exported, device: str | None, provider: str, options: object) -> None:
    engine = OnnxEngine(exported, device)
    assert (engine._provider, engine._options) == (provider, options)


def test_a_device_that_is_not_here(exported: Exported) -> None:
    with pytest.raises(EngineError, match="device 'coreml' is not here: this ONNX Runtime has cpu, cuda, tensorrt"):
        OnnxEngine(exported, "coreml")


def test_the_version_of_a_package_of_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"onnxruntime-gpu": "1.32.0", "torch": "2.13.0"}
    found = {"onnxruntime": ["onnxruntime-gpu"], "torch": ["torch"]}
    monkeypatch.setattr(importlib.metadata, "version", installed.__getitem__)
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: found)
    assert versions_of(("torch", "onnxruntime")) == {"torch": "2.13.0", "onnxruntime": "1.32.0"}
