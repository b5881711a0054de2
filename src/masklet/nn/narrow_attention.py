"""Attention over memories, whose values are narrower than their keys: two ways to the same answer.

The rows of a softmax P sum to one, so for values M that are projected with weight W and bias b,
P(M W + b) = (P M) W + b. Projecting before is what the fused kernels are made for; projecting after multiplies P with a
matrix that is several times narrower. Which of them is quicker depends on the processor, so on a CPU it is tried, once
in a process; their answers differ by rounding only, some 1e-6 of their size. `MASKLET_ATTENTION=before` or `after` in
the environment decides without a trial.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from masklet.nn.layers import attend

SCORES = 4 * 2**20
"""So many scores are held at once: with 4 bytes each, about what fits into a processor's cache."""

TRIAL = (512, 4096)
"""Queries and keys of the trial: enough that the work outweighs the calls, in some hundredths of a second."""

ROUNDS = 3
"""Rounds of the trial; the best of each way counts, so that a busy moment does not decide."""

GAIN = 0.95
"""The second way is taken if it needs at most this share of the first one's time."""


def project_before(
    q: Tensor, k: Tensor, memory: Tensor, projection: nn.Linear, keep: Tensor | None, dropout: float = 0.0
) -> Tensor:
    """q (N or 1, 1, Tq, D), k (N, 1, T, D), memory (N, T, M), keep (N, T) bool -> (N, 1, Tq, D)."""
    return attend(q, k, projection(memory)[:, None], keep, dropout)


def project_after(q: Tensor, k: Tensor, memory: Tensor, projection: nn.Linear, keep: Tensor | None) -> Tensor:
    """The same, a few rows of queries at a time."""
    q = q * q.shape[-1] ** -0.5
    k, memory = k.transpose(-2, -1), memory[:, None]
    hide = None if keep is None else ~keep[:, None, None, :]
    seen = []
    for rows in q.split(max(SCORES // (k.shape[0] * k.shape[-1]), 1), dim=-2):
        scores = rows @ k
        scores = scores if hide is None else scores.masked_fill(hide, -torch.inf)
        seen.append(scores.softmax(dim=-1) @ memory)
    return projection(torch.cat(seen, dim=-2))


Way = Callable[[Tensor, Tensor, Tensor, nn.Linear, Tensor | None], Tensor]

WAYS: dict[str, Way] = {"before": project_before, "after": project_after}
"""Ways by name."""


def attend_narrow(
    q: Tensor, k: Tensor, memory: Tensor, projection: nn.Linear, keep: Tensor | None, dropout: float = 0.0
) -> Tensor:
    """Attention of one head to memories, their values projected: in the quicker way.

    Args:
        q: (N or 1, 1, Tq, D) queries.
        k: (N, 1, T, D) keys.
        memory: (N, T, M) what is projected to values (N, T, D).
        projection: From M to D.
        keep: (N, T) bool, False at keys that are not seen, or None.
        dropout: Share of the weights that are left out at random.

    Returns:
        (N, 1, Tq, D)
    """
    if dropout:
        return project_before(q, k, memory, projection, keep, dropout)
    return _way_for(q, memory)(q, k, memory, projection, keep)


def _way_for(q: Tensor, memory: Tensor) -> Way:
    """Only on a CPU, in float32, for an answer without gradients, is there anything to choose."""
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or q.device.type != "cpu" or q.dtype != torch.float32:
        return project_before
    chosen = os.environ.get("MASKLET_ATTENTION", "")
    return WAYS.get(chosen) or quicker_way(q.shape[-1], memory.shape[-1], torch.get_num_threads())


@cache
@torch.inference_mode()
def quicker_way(width: int, memory_width: int, threads: int) -> Way:
    """The way that is quicker on this processor with so many threads, found by a trial on made-up numbers."""
    queries, keys = TRIAL
    q, k = torch.ones(1, 1, queries, width), torch.ones(1, 1, keys, width)
    memory = torch.ones(1, keys, memory_width)
    projection = skip_init(nn.Linear, memory_width, width)  # random weights would take random numbers from the caller
    for parameter in projection.parameters():
        parameter.fill_(1.0)
    best = dict.fromkeys(WAYS.values(), float("inf"))
    for way in chain(WAYS.values(), *([WAYS.values()] * ROUNDS)):
        began = time.perf_counter()
        way(q, k, memory, projection, None)
        best[way] = min(best[way], time.perf_counter() - began)
    return project_after if best[project_after] < GAIN * best[project_before] else project_before
