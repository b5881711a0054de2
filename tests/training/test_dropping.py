"""What training leaves out: at work in training, absent from a plain network and from evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from masklet.errors import ConfigError
from masklet.nn import ConvNetConfig, MemoryBank, Network
from masklet.training.parts import add_drop_path, add_dropout, leave_out
from masklet.training.recipes import RECIPES, finetune
from tests.training.shapes import SIZE, TINY, tiny_network

Add = Callable[[Network, float], None]

CONVNET = dataclasses.replace(TINY, encoder=ConvNetConfig(widths=(8, 16, 16, 16), depths=(1, 1, 1, 1)))


def encoded(network: Network) -> Tensor:
    torch.manual_seed(1)
    images = torch.rand(2, 3, SIZE, SIZE)
    return network.encode_image(images).stride16


def attended(network: Network) -> Tensor:
    torch.manual_seed(1)
    cells, count = TINY.memory_size, 2
    bank = MemoryBank(
        memories=torch.randn(count, 1, *TINY.memory_shape),
        slots=torch.zeros(count, 1, dtype=torch.int64),
        pointers=torch.randn(count, 1, TINY.width),
        ages=torch.zeros(count, 1),
    )
    return network.attend_memory(torch.randn(count, TINY.width, cells, cells), bank)


@pytest.mark.parametrize(("add", "part"), [(add_drop_path, encoded), (add_dropout, attended)])
def test_at_work_in_training_only(add: Add, part: Callable[[Network], Tensor]) -> None:
    plain, network = tiny_network(), tiny_network()
    add(network, 0.5)
    assert not torch.equal(part(network.train()), part(plain.train()))
    assert torch.equal(part(network.train()), part(network.train()))  # the same seed, the same draws
    assert torch.equal(part(network.eval()), part(plain.eval()))
    assert network.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("add", [add_drop_path, add_dropout])
def test_a_rate_of_zero_adds_nothing(add: Add) -> None:
    network = tiny_network()
    add(network, 0.0)
    assert not any(module._forward_hooks for module in network.modules())
    assert torch.equal(attended(network.train()), attended(tiny_network().train()))


def test_a_frozen_encoder_loses_nothing() -> None:
    plain, network = tiny_network().train(), tiny_network().train()
    add_drop_path(network, 0.9)
    with torch.no_grad():
        assert torch.equal(encoded(network), encoded(plain))


def test_branches_of_convolutional_trunks_are_left_out_too() -> None:
    network = Network(CONVNET)
    for block in network.image_encoder.trunk.stages:  # type: ignore[union-attr]
        torch.nn.init.ones_(block[1].conv2[1].weight)  # they begin as the identity
    kept = encoded(network.train())
    add_drop_path(network, 0.9)
    assert not torch.equal(encoded(network), kept)


def test_pictures_lose_a_branch_each_for_itself_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    left = leave_out(torch.ones(4000, 2, 3), 0.25)
    assert sorted(set(left.flatten().tolist())) == pytest.approx([0.0, 4 / 3])
    assert (left == left[:, :1, :1]).all()
    assert left.mean() == pytest.approx(1.0, abs=0.05)


def test_the_attentions_weights_are_left_out_as_well() -> None:
    network = tiny_network().train()
    kept = attended(network)
    for layer in network.memory_attention.stack():
        layer.dropout = 0.5
    assert not torch.equal(attended(network), kept)
    assert torch.equal(attended(network.eval()), kept)


@pytest.mark.parametrize("rate", [1.0, -0.1])
def test_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(ConfigError, match=rf"drop_path is {rate}; give a share from 0 to less than 1"):
        add_drop_path(tiny_network(), rate)


def test_published_values_and_none_for_nano() -> None:
    stages = {name: [(stage.drop_path, stage.dropout) for stage in RECIPES[name](name).stages] for name in RECIPES}
    assert stages["sam2.1-large"] == [(0.2, 0.0), (0.2, 0.1), (0.0, 0.1)]
    assert stages["sam2.1-base-plus"] == [(0.1, 0.0), (0.1, 0.1), (0.0, 0.1)]
    assert set(stages["nano"]) == {(0.0, 0.0)}
    (stage,) = finetune("sam2.1-tiny", steps=1, image_size=64).stages
    assert (stage.drop_path, stage.dropout) == (0.1, 0.1)
