"""Prompts that are drawn: a box and spots lie where they were given, cell by cell."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from masklet.nn import ConvNetConfig
from masklet.nn.prompt_encoder import DrawnPromptEncoder
from masklet.nn.tensors import PromptTokens
from tests.conftest import SMALL

SIDE = 8

CONFIG = dataclasses.replace(
    SMALL, image_size=4 * SIDE, width=32, memory_width=8, encoder=ConvNetConfig((8,) * 4, (0,) * 4)
)


@pytest.fixture(scope="module")
def encoder() -> DrawnPromptEncoder:
    torch.manual_seed(0)
    return DrawnPromptEncoder(CONFIG).eval().requires_grad_(False)


def test_a_box_is_drawn_inside_and_outside(encoder: DrawnPromptEncoder) -> None:
    """Cells whose centres, at 2, 6, 10 ... pixels, lie between the corners."""
    points, labels = torch.tensor([[[5.0, 9.0], [19.0, 15.0]]]), torch.tensor([[2, 3]])
    box, included, excluded = encoder.draw(points, labels)[0].numpy()
    expected = np.full((SIDE, SIDE), -1.0)
    expected[2:4, 1:5] = 1.0
    np.testing.assert_array_equal(box, expected)
    assert not included.any()
    assert not excluded.any()


def test_points_are_drawn_as_spots(encoder: DrawnPromptEncoder) -> None:
    """A normal distribution around each; where several lie near, the nearest counts. Padding draws nothing."""
    points = torch.tensor([[[10.0, 6.0], [26.0, 22.0], [2.0, 30.0], [13.0, 13.0]]])
    box, included, excluded = encoder.draw(points, torch.tensor([[1, 1, 0, -1]]))[0].numpy()
    assert not box.any()
    for row in range(SIDE):
        for column in range(SIDE):
            x, y = 4 * column + 2, 4 * row + 2

            def spot(px: float, py: float, x: int = x, y: int = y) -> float:
                return math.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (2 * 4) ** 2))

            assert included[row, column] == pytest.approx(max(spot(10, 6), spot(26, 22)), abs=1e-6)
            assert excluded[row, column] == pytest.approx(spot(2, 30), abs=1e-6)


def test_objects_without_an_earlier_mask_are_drawn_as_if_none_had_one(encoder: DrawnPromptEncoder) -> None:
    points, labels = torch.rand(2, 1, 2) * 4 * SIDE, torch.ones(2, 1, dtype=torch.int64)
    logits = torch.randn(2, 1, SIDE, SIDE)
    together = encoder(PromptTokens(points, labels, None, logits, torch.tensor([True, False])))
    alone = encoder(PromptTokens(points[1:], labels[1:], None, None, None))
    given = encoder(PromptTokens(points[:1], labels[:1], None, logits[:1], None))
    torch.testing.assert_close(together.dense[1:], alone.dense)
    torch.testing.assert_close(together.dense[:1], given.dense)
    torch.testing.assert_close(given.drawing[:, :1], logits[:1])
