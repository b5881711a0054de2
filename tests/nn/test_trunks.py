"""Trunks of other families give what timm gives, from which their weights come, with equal weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from masklet.nn.config import EncoderConfig
from masklet.nn.encoders.repvit import M1
from tests.conftest import GOLDEN
from tests.seeded import seeded

TRUNKS: dict[str, tuple[EncoderConfig, str]] = {"repvit_m1": (M1, "body.")}
"""File of recorded maps -> the trunk, and what its names begin with here."""


@pytest.mark.parametrize("name", TRUNKS)
@torch.inference_mode()
def test_maps_are_those_that_were_recorded(name: str) -> None:
    config, prefix = TRUNKS[name]
    recorded = np.load(GOLDEN / f"trunks/{name}.npz")
    trunk = config.build(64).eval()
    state = trunk.state_dict()
    assert list(state) == [prefix + key for key in recorded["names"]]
    weights = seeded({key.removeprefix(prefix): tensor for key, tensor in state.items()})
    trunk.load_state_dict({prefix + key: tensor for key, tensor in weights.items()})
    picture = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 3, 64, 64))).float()
    for index, level in enumerate(trunk(picture)):
        kept = level[:, ::8] if index < 2 else level
        expected = torch.from_numpy(recorded[f"map{index}"])
        torch.testing.assert_close(kept, expected, atol=1e-5 * float(expected.std()), rtol=1e-5)
