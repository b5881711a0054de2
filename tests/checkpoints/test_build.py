"""Models with random weights: repeatable, changed by field, and ready to use."""

from __future__ import annotations

import pytest
import torch

from masklet.checkpoints import build_model
from masklet.errors import ConfigError
from masklet.nn import VARIANTS


def test_a_seed_repeats_and_disturbs_nothing(toy_config):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = build_model(toy_config, seed=1)
    assert torch.equal(torch.rand(3), expected)
    again, other = build_model(toy_config, seed=1), build_model(toy_config, seed=2)
    weight = "image_encoder.trunk.patch_embed.proj.weight"
    assert torch.equal(first.network.state_dict()[weight], again.network.state_dict()[weight])
    assert not torch.equal(first.network.state_dict()[weight], other.network.state_dict()[weight])


def test_without_a_seed_the_global_random_numbers_count(toy_config):
    torch.manual_seed(5)
    first = build_model(toy_config)
    torch.manual_seed(5)
    assert torch.equal(first.absent_pointer, build_model(toy_config).absent_pointer)


def test_fields_can_be_changed(toy_config):
    model = build_model(toy_config, image_size=128, memory_frames=3, name="mine")
    assert (model.name, model.config.image_size, model.config.memory_frames) == ("mine", 128, 3)


def test_a_name_gives_its_configuration():
    assert build_model("sam2.1-tiny", attention_layers=1).config.encoder == VARIANTS["sam2.1-tiny"].encoder


def test_unknown_fields_and_impossible_values_are_told(toy_config):
    with pytest.raises(ConfigError, match=r"^a model has no field 'image_sise'; nearest: image_size$"):
        build_model(toy_config, image_sise=64)
    with pytest.raises(ConfigError, match="image_size 100"):
        build_model(toy_config, image_size=100)


def test_the_model_is_ready(toy_config):
    model = build_model(toy_config, seed=1)
    assert not model.network.training
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    assert repr(model) == "Model(toy, 0.3 M, 64 px, float32 on cpu)"
