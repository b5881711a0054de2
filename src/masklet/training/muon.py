"""Muon: the momentum of every weight matrix is made orthogonal before it is applied; all else learns by AdamW.

Sources: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), for the iteration and its
coefficients; Liu et al., "Muon is scalable for LLM training" (2025), for the scale that lets it share AdamW's rates. In
torch's own the iteration is in bfloat16, which processors without such products compute many times slower, and a kernel
of a convolution is refused.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of a polynomial that draws all singular values near 1 in five rounds."""


class Muon(torch.optim.AdamW):
    """AdamW, but for groups with `matrices=True`, which follow their orthogonal momentum.

    A kernel counts as the matrix of its output channels by all else. `momentum` is the share of the past in the mean of
    gradients; steps have the usual root mean square of AdamW's, a fifth of the rate.
    """

    def __init__(self, groups: list[dict[str, Any]], rate: float, *, momentum: float = 0.95) -> None:
        super().__init__(groups, lr=rate, fused=True)
        self.momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of all groups."""
        every = self.param_groups
        matrices = [group for group in every if group["matrices"]]
        try:
            self.param_groups = [group for group in every if not group["matrices"]]
            loss = super().step(closure)
        finally:
            self.param_groups = every
        for group in matrices:
            self._step_matrices(group)
        return loss

    def _step_matrices(self, group: Mapping[str, Any]) -> None:
        """Matrices of one shape go through the iteration together."""
        alike: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state.update(mean=torch.zeros_like(parameter), step=torch.zeros(()))  # AdamW looks for steps to load
            state["step"] += 1
            mean = state["mean"].lerp_(parameter.grad, 1 - self.momentum)
            ahead = parameter.grad.lerp(mean, self.momentum).reshape(len(parameter), -1)
            alike[len(ahead), ahead.shape[1]].append((parameter, ahead))
        for (rows, columns), found in alike.items():
            changes = orthogonal(torch.stack([ahead for _, ahead in found]))
            scale = 0.2 * math.sqrt(max(rows, columns)) * group["lr"]
            for (parameter, _), change in zip(found, changes, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(change.view(parameter.shape), alpha=-scale)


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Matrices with the same singular vectors and singular values near 1 (about 0.7 to 1.2).

    Args:
        matrices: (B, M, N).
        rounds: Of the iteration of Newton and Schulz.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(rounds):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def matrix_names(network: nn.Module) -> set[str]:
    """Names of the weights that are matrices at work: of linear layers and convolutions that mix channels, and have at
    least eight outputs and inputs. Tokens, tables of codes and heads with few outputs are left to AdamW.
    """
    names = set()
    for prefix, module in network.named_modules():
        mixes = isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
        if mixes and min(len(module.weight), module.weight[0].numel()) >= 8:
            names.add(f"{prefix}.weight")
    return names
