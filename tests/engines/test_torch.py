"""A model is its network behind four functions, compiled or not."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch

from masklet.checkpoints import Model, build_model, load_model, save_model
from masklet.engines.torch import folded
from masklet.nn import MemoryBank, ModelConfig, PromptTokens
from masklet.nn.config import EncoderConfig
from tests.nn.test_encoders import OURS


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


def test_a_copy_answers_by_weights_of_its_own(toy_config: ModelConfig) -> None:
    model = build_model(toy_config, seed=1)
    expected = run(model)
    copied, packed = copy.deepcopy(model), pickle.dumps(model)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(0.1)
    for other in (copied, pickle.loads(packed)):
        assert all(map(torch.equal, run(other), expected))


def test_compiling_waits_for_the_first_call(toy_config, monkeypatch: pytest.MonkeyPatch):
    compiled: list[str] = []

    def fake_compile(function, dynamic):
        compiled.append(function.__name__)
        return function

    monkeypatch.setattr(torch, "compile", fake_compile)
    plain = build_model(toy_config, seed=1)
    model = Model("toy", plain.network, compiled=True)
    assert repr(model) == "Model(toy, 0.3 M, 64 px, float32 on cpu, compiled)"
    assert compiled == []
    for ours, plains in zip(run(model), run(plain), strict=True):
        torch.testing.assert_close(ours, plains, atol=1e-5, rtol=1e-5)  # it is filled up, which changes last bits
    assert compiled == ["encode_image", "attend_memory", "decode_masks", "encode_memory"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
def test_compiled_is_the_same(toy_config):
    plain = build_model(toy_config, seed=1)
    inputs = torch.randn(1, 32, 4, 4), torch.randn(1, 1, 64, 64), torch.ones(1)
    compiled = Model("toy", plain.network, compiled=True).encode_memory(*inputs)
    torch.testing.assert_close(compiled, plain.encode_memory(*inputs), atol=1e-4, rtol=1e-4)


def has_norms(encoder: EncoderConfig) -> bool:
    return any(isinstance(module, torch.nn.BatchNorm2d) for module in encoder.build(64).modules())


@pytest.fixture(params=filter(has_norms, OURS), ids=lambda encoder: encoder.kind)
def learned(toy_config: ModelConfig, request: pytest.FixtureRequest) -> Model:
    """A model whose batch normalisations have statistics and weights as after a training."""
    version = {"version": "1"} if 0 in request.param.widths else {}
    model = build_model(toy_config, seed=1, encoder=request.param, **version)
    generator = torch.Generator().manual_seed(2)
    for module in model.network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.1, 2.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
            ):
                tensor.uniform_(low, high, generator=generator)  # type: ignore[union-attr]
    return model


@torch.inference_mode()
def test_folded_normalisations_give_the_same(learned: Model) -> None:
    images = torch.randn(2, 3, 64, 64, generator=torch.manual_seed(0))
    network = folded(learned.network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    plain = learned.network.encode_image(images)
    for ours, levels in ((learned.encode_image(images), plain), (network.encode_image(images), plain)):
        for one, other in zip(ours, levels, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_folding_leaves_what_is_saved_as_it_was(learned: Model, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in learned.network.state_dict().items()}
    digest = Model("same", learned.network).digest
    learned.encode_image(torch.zeros(1, 3, 64, 64))
    assert learned.digest == digest
    save_model(learned, tmp_path / "used.safetensors")
    loaded = load_model(tmp_path / "used.safetensors", device="cpu")
    assert loaded.digest == digest
    for state in (learned.network.state_dict(), loaded.network.state_dict()):
        assert state.keys() == before.keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in before.items())


def test_a_move_to_where_it_is_folds_nothing_again(learned: Model) -> None:
    functions = learned._functions
    learned.move("cpu")
    assert learned._functions is functions


def test_half_precision_is_folded_in_single(learned: Model) -> None:
    network = folded(learned.network.to(torch.bfloat16))
    exact = folded(copy.deepcopy(learned.network).float())
    for low, full in zip(network.image_encoder.parameters(), exact.image_encoder.parameters(), strict=True):
        assert low.dtype == torch.bfloat16
        assert torch.equal(low, full.bfloat16())


def test_a_network_that_learns_is_not_folded(learned: Model) -> None:
    assert folded(learned.network.train()) is learned.network


def test_what_has_nothing_to_fold_is_run_as_it_is(toy_config: ModelConfig) -> None:
    network = build_model(toy_config, seed=1).network
    assert folded(network) is network
