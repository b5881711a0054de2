"""Decoding many objects, as many at a time as pays."""

from __future__ import annotations

import torch
from torch import Tensor

from masklet.engines.base import Engine
from masklet.nn import Decoded, Levels, MemoryBank, PromptTokens

DECODED_AT_ONCE = {"cpu": 8}
"""Objects that are decoded together, by the kind of device: on a processor more spill its caches and are slower, each
taking some 30 MB at 1024 pixels."""

OTHERWISE = 64
"""On any other device."""


def objects_at_once(engine: Engine) -> int:
    """How many objects are decoded together."""
    return DECODED_AT_ONCE.get(engine.device.type, OTHERWISE)


def decode_in_parts(engine: Engine, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
    """All candidate masks of N objects; the picture's features, (1, C, h, w), and levels serve all."""
    count, step = len(prompts.points), objects_at_once(engine)
    parts = [
        engine.decode_masks(features, levels, taken(prompts, slice(first, first + step)))
        for first in range(0, count, step)
    ]
    return parts[0] if len(parts) == 1 else Decoded(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def taken(prompts: PromptTokens, rows: slice) -> PromptTokens:
    """The prompts of some of the objects."""
    return prompts._replace(**{name: tensor[rows] for name, tensor in prompts._asdict().items() if tensor is not None})


def no_memories(engine: Engine) -> MemoryBank:
    """The bank of one object that remembers nothing: a picture has no past."""
    config, device = engine.config, engine.device
    return MemoryBank(
        memories=torch.zeros(1, 0, config.memory_width, config.memory_size, config.memory_size, device=device),
        slots=torch.zeros(1, 0, dtype=torch.int64, device=device),
        pointers=torch.zeros(1, 0, config.width, device=device),
        ages=torch.zeros(1, 0, device=device),
    )
