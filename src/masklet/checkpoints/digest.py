"""By what weights are known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

SAMPLES = 1024
"""Numbers of each tensor that are looked at."""


def digest_of(parameters: Iterable[tuple[str, Tensor]]) -> str:
    """A hash, 64 hexadecimal digits, of tensors by name: of their names and shapes, and of some numbers of each, spread
    evenly. Taken in bfloat16, so that weights are the same in float32 and in bfloat16."""
    digest = hashlib.sha256()
    for name, tensor in sorted(parameters, key=lambda entry: entry[0]):
        flat = tensor.detach().flatten()
        some = flat[:: max(1, flat.numel() // SAMPLES)][:SAMPLES].to("cpu", torch.bfloat16)
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(some.contiguous().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()
