"""All four functions export as they are, with any number of pictures, objects, memories, pointers and prompt tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

from masklet.nn import ConvNetConfig, Levels, MemoryBank, Network, PromptTokens
from masklet.nn.config import RepViTConfig
from tests.conftest import SMALL

SIDE = 64
WIDE = dataclasses.replace(SMALL, width=128, memory_width=16, decoder_heads=2, decoder_mlp=32, head_width=16)
CONFIGS = {
    "published head": dataclasses.replace(WIDE, image_size=SIDE * 2, decoder_layers=2),
    "refining head": dataclasses.replace(
        WIDE, image_size=SIDE, encoder=ConvNetConfig((8, 8, 16, 16), (0, 1, 0, 0)), head="refining"
    ),
    "condensed memories": dataclasses.replace(
        WIDE, image_size=SIDE * 2, encoder=RepViTConfig((8, 8, 16, 16), (1, 2, 0, 1)), memory_grid=4
    ),
}
"""Heads of 32 channels in the decoder, so that few tokens are folded and many are not."""

COUNT, FRAMES, POINTERS, POINTS = (Dim(name, min=1, max=200) for name in ("count", "frames", "pointers", "points"))


class Function(nn.Module):
    """One of the four functions, as exporters want it: tensors side by side."""

    def __init__(self, network: Network, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, *tensors: Tensor) -> Any:
        return getattr(self.network, self.name)(*grouped(self.name, tensors))


def grouped(name: str, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    """The arguments of a function, of which all tensors stand side by side."""
    if name == "attend_memory":
        return tensors[0], MemoryBank(*tensors[1:])
    if name == "decode_masks":
        return tensors[0], Levels(*tensors[1:4]), PromptTokens(*tensors[4:])
    return tuple(tensors)


def made_up(network: Network, name: str, count: int, frames: int, pointers: int, points: int) -> tuple[Tensor, ...]:
    """Made-up tensors for a function; everything that may be left out is there."""
    config, generator = network.config, torch.manual_seed(count)
    cells, size = config.memory_size, config.image_size

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def some(*shape: int) -> Tensor:
        kept = torch.rand(shape, generator=generator) > 0.3
        kept[:, :1] = True
        return kept

    one = random(1, config.width, cells, cells)
    if name == "encode_image":
        return (random(count, 3, size, size),)
    if name == "encode_memory":
        return one, random(count, 1, size, size), random(count)
    if name == "attend_memory":
        slots = torch.randint(0, config.memory_frames, (count, frames), generator=generator)
        memories, ages = random(count, frames, *config.memory_shape), random(count, pointers)
        told = random(count, pointers, config.width)
        return one, memories, slots, told, ages, some(count, frames), some(count, pointers)
    fine = random(1, config.width // 8, 4 * cells, 4 * cells), random(1, config.width // 4, 2 * cells, 2 * cells)
    labels = torch.randint(-1, 4, (count, points), generator=generator)
    places = torch.rand(count, points, 2, generator=generator) * size
    masks, shown = random(count, 1, 4 * cells, 4 * cells), torch.rand(count, generator=generator) > 0.5
    features = random(count, config.width, cells, cells)
    return features, *fine, one, places, labels, some(count, points), masks, shown


OBJECT, MEMORY = {0: COUNT}, {0: COUNT, 1: FRAMES}
POINTER, POINT = {0: COUNT, 1: POINTERS}, {0: COUNT, 1: POINTS}
FREE: dict[str, tuple[dict[int, Any], ...]] = {
    "encode_image": (OBJECT,),
    "encode_memory": ({}, OBJECT, OBJECT),
    "attend_memory": ({}, MEMORY, MEMORY, POINTER, POINTER, MEMORY, POINTER),
    "decode_masks": (OBJECT, {}, {}, {}, POINT, POINT, POINT, OBJECT, OBJECT),
}
"""Which sizes of a function's tensors are free."""


@pytest.mark.parametrize(
    ("name", "head"), [*((name, "published head") for name in FREE), ("decode_masks", "refining head")]
)
def test_one_graph_serves_all_sizes(name: str, head: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(CONFIGS[head]).eval().requires_grad_(False).prepare()
    given = made_up(network, name, 3, 2, 4, 3)
    run = export(Function(network, name), given, dynamic_shapes=(FREE[name],), strict=False).module()
    for sizes in ((3, 2, 4, 3), (2, 5, 2, 2), (5, 1, 7, 40), (1, 3, 3, 5)):
        given = made_up(network, name, *sizes)
        with torch.inference_mode():
            ours, exported = getattr(network, name)(*grouped(name, given)), run(*given)
        pairs = [(ours, exported)] if isinstance(ours, Tensor) else zip(ours, exported, strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
