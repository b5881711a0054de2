"""Trunks of other families give what timm gives, from which their weights come, with equal weights."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from masklet.nn.config import M1, VARIANTS, EncoderConfig, InvertedResidualConfig, TinyViTConfig
from masklet.nn.encoders.attention import stretched
from tests.conftest import GOLDEN
from tests.seeded import seeded

TRUNKS: dict[str, tuple[EncoderConfig, str, int]] = {
    "repvit_m1": (M1, "body.", 64),
    "tiny_vit_5m": (TinyViTConfig(), "", 128),
}
"""File of recorded maps -> the trunk, what its names begin with here, and the picture's side."""


COMPARED_WHOLE = {"hiera", "vit"}
"""Whole models with these trunks are compared with transformers, and with recorded outputs."""


def test_every_kind_of_trunk_that_was_published_is_compared() -> None:
    recorded = {config.kind for config, _, _ in TRUNKS.values()}
    assert {config.encoder.kind for config in VARIANTS.values()} == recorded | COMPARED_WHOLE


@pytest.mark.parametrize("name", TRUNKS)
@torch.inference_mode()
def test_maps_are_those_that_were_recorded(name: str) -> None:
    config, prefix, side = TRUNKS[name]
    recorded = np.load(GOLDEN / f"trunks/{name}.npz")
    trunk = config.build(side).eval()
    state = trunk.state_dict()
    assert sorted(state) == sorted(prefix + key for key in recorded["names"])
    weights = seeded({key.removeprefix(prefix): tensor for key, tensor in state.items()})
    trunk.load_state_dict({prefix + key: tensor for key, tensor in weights.items()})
    picture = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 3, side, side))).float()
    for index, level in enumerate(trunk(picture)):
        if f"map{index}" not in recorded:
            assert level.shape[1] == 0
            continue
        expected = torch.from_numpy(recorded[f"map{index}"])
        kept = level[:, :: level.shape[1] // expected.shape[1]]
        torch.testing.assert_close(kept, expected, atol=1e-5 * float(expected.std()), rtol=1e-5)


def test_activations_in_place_learn_as_others() -> None:
    """Of inverted residuals: the same maps, gradients and statistics, to the last bit."""
    stages = ((3, 1, 1, 8, 1), (3, 2, 2, 8, 2), (5, 2, 2, 16, 1), (3, 2, 2, 16, 2), (3, 2, 2, 24, 1))
    trunk = InvertedResidualConfig(8, stages, detail=8).build(64)
    plain = copy.deepcopy(trunk)
    for module in plain.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = False
    picture = 5 * torch.randn(2, 3, 64, 64, generator=torch.manual_seed(0))
    learned = []
    for each in (trunk, plain):
        image = picture.clone().requires_grad_()
        sum(level.square().mean() for level in each(image)).backward()
        gradients = [image.grad, *(parameter.grad for parameter in each.parameters())]
        assert all(gradient is not None and gradient.any() for gradient in gradients)
        learned.append([*gradients, *each.buffers()])
    assert all(map(torch.equal, *learned))


@pytest.mark.parametrize(("known", "length", "depth"), [(5, 9, 9), (9, 5, 9), (9, 9, 5)])
def test_codes_of_distances_are_stretched_to_other_windows(known: int, length: int, depth: int) -> None:
    code = torch.linspace(0, 1, known)[:, None].expand(known, depth)
    stretched_code = stretched(code, length)
    assert stretched_code.shape == (length, depth)
    assert (stretched_code.diff(dim=0) >= 0).all()
    torch.testing.assert_close(stretched_code.mean(), torch.tensor(0.5))
