"""Weights are known again, whatever the precision; other weights are told apart."""

from __future__ import annotations

import torch

from masklet.checkpoints import build_model
from masklet.engines.torch import weights_digest
from tests.video.test_session import TOY


def test_the_same_weights_have_the_same_digest() -> None:
    first, second = build_model(TOY, seed=3), build_model(TOY, seed=3)
    assert first.digest == second.digest
    assert len(first.digest) == 64
    assert build_model(TOY, seed=4).digest != first.digest


def test_precision_does_not_matter() -> None:
    model = build_model(TOY, seed=3)
    digest = model.digest
    model.network.to(torch.bfloat16)
    assert weights_digest(model.network.named_parameters()) == digest


def test_names_and_shapes_count() -> None:
    weights = torch.arange(6.0)
    digest = weights_digest([("a", weights)])
    assert weights_digest([("b", weights)]) != digest
    assert weights_digest([("a", weights.reshape(2, 3))]) != digest
    assert weights_digest([("b", weights), ("a", weights)]) == weights_digest([("a", weights), ("b", weights)])
