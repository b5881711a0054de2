"""Rates and decays of the parts of a network, schedules, and the running average."""

from __future__ import annotations

import pytest
import torch

from masklet.checkpoints.load import blank_network
from masklet.errors import ConfigError
from masklet.nn import VARIANTS
from masklet.training.parts import (
    Average,
    OptimizerOptions,
    build_optimizer,
    layer_scales,
    scheduled,
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


def test_layers_learn_as_published() -> None:
    network = blank_network(VARIANTS["sam2.1-tiny"])
    scales = layer_scales(network, decay=0.9)
    found = {name: scales.get(network.get_parameter(name), 1.0) for name in PUBLISHED}
    assert found == pytest.approx(PUBLISHED, rel=1e-12)


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
    for schedule in ("cosine", "reciprocal"):
        options = OptimizerOptions(warm_up=0.1, end=0.1, schedule=schedule)  # type: ignore[arg-type]
        values = [scheduled(step, 100, options) for step in range(100)]
        assert values[0] == pytest.approx(0.1)
        assert max(values) == pytest.approx(1.0)
        assert values[-1] < 0.25
    assert scheduled(100, 100, OptimizerOptions(warm_up=0.1, end=0.1)) == pytest.approx(0.1)


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
