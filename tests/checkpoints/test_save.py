"""What is saved is what is loaded: values, configuration, with no name given; a file is whole or not there."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import masklet
from masklet.checkpoints import build_model, load, load_model, save_model
from masklet.checkpoints.load import FOURIER_MATRIX, blank_network, load_weights
from masklet.engines.torch import Model
from masklet.errors import CheckpointError, EngineError
from masklet.nn import NANO, ConvNetConfig


@pytest.fixture
def toy(toy_config) -> Model:
    return build_model(toy_config, seed=3)


def assert_same(a: Model, b: Model) -> None:
    state, other = a.network.state_dict(), b.network.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[key], other[key]) for key in state)


def test_what_is_saved_is_loaded(toy: Model, tmp_path: Path):
    save_model(toy, tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors", device="cpu")
    assert (loaded.name, loaded.config) == ("toy", toy.config)
    assert_same(loaded, toy)
    assert os.listdir(tmp_path) == ["a.safetensors"]
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["masklet.format"] == "2"
    assert metadata["masklet.version"] == masklet.__version__


def test_counts_of_normalisation_stay_whole(tmp_path: Path):
    small = ConvNetConfig(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1))
    model = build_model(NANO, seed=3, encoder=small, image_size=64, attention_layers=1)
    save_model(model, str(tmp_path / "a.safetensors"), dtype="float16")
    loaded = load_model(tmp_path / "a.safetensors", device="cpu")
    assert loaded.config == model.config
    dtypes = {key: tensor.dtype for key, tensor in loaded.network.state_dict().items()}
    assert {dtype for key, dtype in dtypes.items() if key.endswith("num_batches_tracked")} == {torch.int64}
    assert {dtype for key, dtype in dtypes.items() if not key.endswith("num_batches_tracked")} == {torch.float32}


def test_halves_for_shipping(toy: Model, tmp_path: Path):
    save_model(toy, tmp_path / "whole.safetensors")
    save_model(toy, tmp_path / "half.safetensors", dtype="float16")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.75 * (tmp_path / "whole.safetensors").stat().st_size
    loaded = load_model(tmp_path / "half.safetensors", device="cpu")
    assert loaded.dtype == torch.float32
    expected = {key: tensor.half().float() for key, tensor in toy.network.state_dict().items()}
    expected[FOURIER_MATRIX] = toy.network.state_dict()[FOURIER_MATRIX]
    own = loaded.network.state_dict()
    assert all(torch.equal(own[key], expected[key]) for key in expected)
    assert toy.dtype == torch.float32


def test_a_weight_too_large_for_halves_is_told(toy: Model, tmp_path: Path):
    toy.network.no_obj_ptr.fill_(1e6)
    with pytest.raises(
        CheckpointError, match=r"^no_obj_ptr holds numbers too large for torch\.float16; save as float32$"
    ):
        save_model(toy, tmp_path / "a.safetensors", dtype="float16")
    assert os.listdir(tmp_path) == []
    with pytest.raises(EngineError, match="dtype 'float8' is none of"):
        save_model(toy, tmp_path / "a.safetensors", dtype="float8")


def test_tensors_that_are_not_dense_or_not_alone(toy: Model, tmp_path: Path):
    state = {key: tensor.clone() for key, tensor in toy.network.state_dict().items()}
    square = state["sam_mask_decoder.transformer.layers.0.self_attn.q_proj.weight"]
    state["sam_mask_decoder.transformer.layers.0.self_attn.k_proj.weight"] = square.T
    state["sam_mask_decoder.transformer.layers.0.self_attn.v_proj.weight"] = square
    both = torch.stack((state["no_obj_ptr"][0], state["sam_prompt_encoder.no_mask_embed.weight"][0]))
    state["no_obj_ptr"], state["sam_prompt_encoder.no_mask_embed.weight"] = both[:1], both[1:]
    model = Model("toy", load_weights(blank_network(toy.config), state))
    save_model(model, tmp_path / "a.safetensors")
    assert_same(load_model(tmp_path / "a.safetensors", device="cpu"), model)


def test_a_file_is_saved_over_the_one_it_was_loaded_from(toy: Model, tmp_path: Path):
    save_model(toy, tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors", device="cpu")
    save_model(loaded, tmp_path / "a.safetensors")
    assert_same(load_model(tmp_path / "a.safetensors", device="cpu"), toy)
    assert_same(loaded, toy)


def test_a_write_that_fails_leaves_what_was_there(toy: Model, tmp_path: Path, monkeypatch):
    (tmp_path / "a.safetensors").write_bytes(b"before")

    def fail(state: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(load, "save_file", fail)
    with pytest.raises(CheckpointError, match=r"a\.safetensors cannot be written: disk full; give a path"):
        save_model(toy, tmp_path / "a.safetensors")
    assert os.listdir(tmp_path) == ["a.safetensors"]
    assert (tmp_path / "a.safetensors").read_bytes() == b"before"


def test_wrong_paths(toy: Model, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"^a\.pt does not end in \.safetensors, the format"):
        save_model(toy, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"^folder \S+/none does not exist; make it first$"):
        save_model(toy, tmp_path / "none" / "a.safetensors")


def test_a_changed_configuration_comes_back(toy: Model, tmp_path: Path):
    model = build_model(dataclasses.replace(toy.config, name="mine", version="2.0", memory_frames=3), seed=1)
    save_model(model, tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors", device="cpu")
    assert (loaded.name, loaded.config) == ("mine", model.config)
