"""The spatial perceiver: a memory condensed to few latents, so that attending it costs less (EdgeTAM: Zhou et al.,
2025; the perceiver itself: Jaegle et al., 2021).

Half of the latents look at the whole memory. The others form a square, and each looks at its own window of the memory.
Both halves go through the same layers. Attribute names are those of the published weights.
"""

from typing import cast

import torch
from torch import Tensor, nn

from masklet.nn.layers import Prepared, attend, to_map, to_tokens
from masklet.nn.positions import sine_map

LAYERS = 2
"""Layers of the perceiver, as published."""

EXPANSION = 4
"""Times as many channels inside a feed-forward part, as published."""


class Look(nn.Module):
    """Attention of one head, without biases: latents (N, L, M) look at tokens (N, T, M)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(width, 2 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def look(self, latents: Tensor, tokens: Tensor, code: Tensor | None) -> Tensor:
        """Code (T, M) tells the places of tokens, to keys and to values; -> (N, L, M)."""
        kv = self.to_kv(tokens).unflatten(-1, (2, -1))
        kv = kv if code is None else kv + code.unsqueeze(-2)
        k, v = kv.unsqueeze(1).unbind(-2)
        return self.to_out(attend(self.to_q(latents)[:, None], k, v)[:, 0])


class LookAtTokens(Look):
    """Normalises both, then looks."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.norm_x = nn.LayerNorm(width)
        self.norm_latents = nn.LayerNorm(width)

    def forward(self, latents: Tensor, tokens: Tensor, code: Tensor | None) -> Tensor:
        return self.look(self.norm_latents(latents), self.norm_x(tokens), code)


class LookAtEachOther(Look):
    """Normalises the latents, which then look at each other."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.norm = nn.LayerNorm(width)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.norm(latents)
        return self.look(x, x, None)


def feed_forward(width: int) -> nn.Sequential:
    """(N, L, M) -> (N, L, M)"""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, EXPANSION * width, bias=False),
        nn.GELU(),
        nn.Linear(EXPANSION * width, width, bias=False),
    )


class PerceiverLayer(nn.Module):
    """Latents look at tokens, then at each other; a feed-forward part after each look."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = LookAtTokens(width)
        self.ff = feed_forward(width)
        self.self_attn = LookAtEachOther(width)
        self.self_ff = feed_forward(width)

    def forward(self, latents: Tensor, tokens: Tensor, code: Tensor | None) -> Tensor:
        latents = latents + self.attn(latents, tokens, code)
        latents = latents + self.ff(latents)
        latents = latents + self.self_attn(latents)
        return latents + self.self_ff(latents)


class Perceiver(Prepared):
    """Condenses memories of `height` x `height` cells, by a square of g x g latents; `grid` (g) divides the height."""

    def __init__(self, width: int, height: int, grid: int) -> None:
        super().__init__("code")
        self.height, self.grid = height, grid
        self.latents = nn.Parameter(torch.randn(grid * grid, width))
        self.latents_2d = nn.Parameter(torch.randn(grid * grid, width))
        self.layers = nn.ModuleList(PerceiverLayer(width) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(width)

    def compute_tables(self) -> tuple[Tensor]:
        """The position code of every cell, (h * h, M)."""
        return (sine_map(self.latents.shape[1], self.height, self.latents.device).flatten(1).T,)

    def forward(self, memory: Tensor) -> Tensor:
        """(N, M, h, h) -> (N, M, 2 * g, g): above the latents that saw everything, below those that saw a window."""
        count, window = memory.shape[0], self.height // self.grid
        (code,) = self.tables()
        everything = self.refine(self.latents.expand(count, -1, -1), to_tokens(memory), code.to(memory.dtype))
        windows = memory.unflatten(3, (-1, window)).unflatten(2, (-1, window))  # (N, M, g, window, g, window)
        windows = windows.permute(0, 2, 4, 3, 5, 1).flatten(0, 2).flatten(1, 2)  # (N * g * g, window * window, M)
        local = self.refine(self.latents_2d.repeat(count, 1)[:, None], windows, None)
        latents = torch.cat((everything, local.reshape_as(everything)), dim=1)
        return to_map(self.norm(latents), 2 * self.grid)

    def refine(self, latents: Tensor, tokens: Tensor, code: Tensor | None) -> Tensor:
        """All layers: latents (N, L, M), tokens (N, T, M) -> (N, L, M)."""
        for layer in cast("list[PerceiverLayer]", list(self.layers)):
            latents = layer(latents, tokens, code)
        return latents
