"""A model is its network behind four functions, compiled or not."""

from __future__ import annotations

import pytest
import torch

from masklet.checkpoints import Model, build_model
from masklet.nn import MemoryBank, PromptTokens


def run(model: Model) -> list[torch.Tensor]:
    """All four functions, one after another."""
    generator = torch.Generator().manual_seed(0)
    levels = model.encode_image(torch.randn(1, 3, 64, 64, generator=generator))
    decoded = model.decode_masks(
        levels.stride16, levels, PromptTokens(torch.tensor([[[20.0, 30.0]]]), torch.ones(1, 1, dtype=torch.long))
    )
    masks = torch.randn(1, 1, 64, 64, generator=generator)
    memory = model.encode_memory(levels.stride16, masks, decoded.presence)
    bank = MemoryBank(memory[:, None], torch.zeros(1, 1, dtype=torch.long), decoded.pointers[:, :1], torch.ones(1, 1))
    return [*levels, *decoded, memory, model.attend_memory(levels.stride16, bank)]


def test_the_four_functions_are_those_of_the_network(toy_config):
    model = build_model(toy_config, seed=1)
    for ours, networks in zip(run(model), run(model.network), strict=True):  # type: ignore[arg-type]
        assert torch.equal(ours, networks)


def test_what_an_engine_tells(toy_config):
    model = build_model(toy_config, seed=1)
    assert model.config == toy_config
    assert model.absent_pointer.shape == (1, 32)
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)


def test_compiling_waits_for_the_first_call(toy_config, monkeypatch: pytest.MonkeyPatch):
    compiled: list[str] = []

    def fake_compile(function):
        compiled.append(function.__name__)
        return function

    monkeypatch.setattr(torch, "compile", fake_compile)
    plain = build_model(toy_config, seed=1)
    model = Model("toy", plain.network, compiled=True)
    assert repr(model) == "Model(toy, 0.3 M, 64 px, float32 on cpu, compiled)"
    assert compiled == []
    for ours, plains in zip(run(model), run(plain), strict=True):
        assert torch.equal(ours, plains)
    assert compiled == ["encode_image", "attend_memory", "decode_masks", "encode_memory"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
def test_compiled_is_the_same(toy_config):
    plain = build_model(toy_config, seed=1)
    inputs = torch.randn(1, 32, 4, 4), torch.randn(1, 1, 64, 64), torch.ones(1)
    compiled = Model("toy", plain.network, compiled=True).encode_memory(*inputs)
    torch.testing.assert_close(compiled, plain.encode_memory(*inputs), atol=1e-4, rtol=1e-4)
