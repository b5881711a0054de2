"""Rates and decays of the parts of a network, schedules, and weight matrices that learn by Muon."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from masklet.checkpoints.build import blank_network
from masklet.errors import ConfigError
from masklet.nn import VARIANTS
from masklet.training.muon import Muon, matrix_names, orthogonal
from masklet.training.optimizer import (
    Average,
    OptimizerOptions,
    build_optimizer,
    cosine,
    layer_scale,
    reciprocal,
    without_decay,
)
from tests.training.shapes import tiny_network

PUBLISHED = {
    "image_encoder.trunk.patch_embed.proj.weight": 0.2541865828329001,
    "image_encoder.trunk.pos_embed_window": 1.0,
    "image_encoder.trunk.blocks.0.norm1.weight": 0.2824295364810001,
    "image_encoder.trunk.blocks.5.attn.qkv.weight": 0.4782969000000001,
    "image_encoder.trunk.blocks.11.mlp.layers.0.weight": 0.9,
    "image_encoder.neck.convs.0.conv.weight": 1.0,
    "memory_attention.norm.weight": 1.0,
}
"""Recorded of the reference, for the 12 blocks of `tiny` and a decay of 0.9."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_learn_as_published(name: str) -> None:
    assert layer_scale(name, depth=12, decay=0.9) == pytest.approx(PUBLISHED[name], rel=1e-12)


def test_every_parameter_has_its_group() -> None:
    network = blank_network(VARIANTS["sam2.1-tiny"]).requires_grad_(True)
    options = OptimizerOptions(parts={"image_encoder": 0.2})
    groups = build_optimizer(network, options).param_groups
    count = sum(len(group["params"]) for group in groups)
    assert count == len(list(network.parameters()))
    scales = {group["scale"] for group in groups}
    assert max(scales) == 1.0
    assert min(scales) == pytest.approx(0.2 * 0.9**13)


def test_biases_and_norms_do_not_decay_but_norms_of_maps_do() -> None:
    undecayed = without_decay(tiny_network())
    assert "memory_attention.norm.weight" in undecayed
    assert "sam_mask_decoder.conv_s0.bias" in undecayed
    assert "sam_mask_decoder.output_upscaling.1.weight" not in undecayed  # as published
    assert "no_mem_embed" not in undecayed


def test_schedules_rise_and_fall() -> None:
    options = OptimizerOptions(warm_up=0.1, end=0.1)
    for schedule in (cosine, reciprocal):
        values = [schedule(step, 100, options) for step in range(100)]
        assert values[0] == pytest.approx(0.1)
        assert max(values) == pytest.approx(1.0)
        assert values[-1] < 0.25
    assert cosine(100, 100, options) == pytest.approx(0.1)


def test_parts_that_do_not_exist_and_networks_that_do_not_learn() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.parts names 'image_encodr'"):
        build_optimizer(tiny_network(), OptimizerOptions(parts={"image_encodr": 0.1}))
    with pytest.raises(ConfigError, match="nothing learns"):
        build_optimizer(tiny_network().requires_grad_(False), OptimizerOptions())


def test_the_average_lags_behind() -> None:
    weights = {"a": torch.zeros(2), "count": torch.tensor(0)}
    average = Average(weights, decay=0.9)
    average.update({"a": torch.ones(2), "count": torch.tensor(7)}, step=1000)
    torch.testing.assert_close(average.state["a"], torch.full((2,), 0.1))
    assert average.state["count"] == 7


@pytest.mark.parametrize("shape", [(3, 8, 30), (2, 30, 8), (1, 12, 12)])
def test_orthogonal_keeps_singular_vectors_and_evens_singular_values(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonal(matrices)
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    inside = u.mT @ found @ vh.mT
    values = inside.diagonal(dim1=1, dim2=2)
    assert ((values > 0.6) & (values < 1.25)).all()
    torch.testing.assert_close(inside, torch.diag_embed(values), atol=1e-4, rtol=0)
    assert torch.equal(orthogonal(torch.zeros(shape)), torch.zeros(shape))


class Small(nn.Module):
    """A matrix of each kind, and what is none."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 8)
        self.conv = nn.Conv2d(8, 16, 3)
        self.depthwise = nn.Conv2d(16, 16, 3, groups=16)
        self.score = nn.Linear(16, 1)
        self.tokens = nn.Embedding(9, 16)
        self.upward = nn.ConvTranspose2d(16, 8, 2)


def small(method: str = "muon") -> tuple[Small, torch.optim.Optimizer]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Small()
    options = OptimizerOptions(rate=0.01, parts={}, weight_decay=0.1, method=method)  # type: ignore[arg-type]
    return network, build_optimizer(network, options)


def learn(network: Small, optimizer: torch.optim.Optimizer, seeds: range) -> list[Tensor]:
    """Steps with made-up gradients; returns the weights then."""
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return [parameter.detach().clone() for parameter in network.parameters()]


def test_matrices_learn_as_by_the_muon_of_torch() -> None:
    """Which computes in bfloat16, and knows no convolutions: their kernels are given to it as matrices."""
    network, optimizer = small()
    assert isinstance(optimizer, Muon)
    assert matrix_names(network) == {"linear.weight", "conv.weight"}
    theirs = [nn.Parameter(weight.detach().reshape(len(weight), -1).clone()) for weight in matrices(network)]
    other = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for seed in range(5):
        learn(network, optimizer, range(seed, seed + 1))
        for mine, their in zip(matrices(network), theirs, strict=True):
            assert mine.grad is not None
            their.grad = mine.grad.reshape(their.shape)
        other.step()
    for mine, their in zip(matrices(network), theirs, strict=True):
        one_step = 0.01 * 0.2  # root mean square of a number's change
        torch.testing.assert_close(mine.detach().reshape(their.shape), their.detach(), atol=0.1 * one_step, rtol=0.01)


def matrices(network: Small) -> list[nn.Parameter]:
    return [network.linear.weight, network.conv.weight]


def test_all_else_learns_by_adamw() -> None:
    mine, by_muon = small()
    plain, by_adamw = small("adamw")
    assert isinstance(by_adamw, torch.optim.AdamW)
    learn(mine, by_muon, range(4))
    learn(plain, by_adamw, range(4))
    names = matrix_names(mine)
    for (name, a), b in zip(mine.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b) != (name in names), name


def test_muon_goes_on_from_its_state() -> None:
    network, optimizer = small()
    learn(network, optimizer, range(3))
    again, other = small()
    again.load_state_dict(network.state_dict())
    other.load_state_dict(deepcopy(optimizer.state_dict()))
    for a, b in zip(learn(network, optimizer, range(3, 6)), learn(again, other, range(3, 6)), strict=True):
        assert torch.equal(a, b)
