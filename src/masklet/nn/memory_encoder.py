"""The memory encoder: a frame's features and an object's mask to one memory (SAM 2: Ravi et al., 2024, sec. 4).

And the spatial perceiver, which condenses a memory to few latents, so that attending it costs less (EdgeTAM: Zhou et
al., 2025; the perceiver itself: Jaegle et al., 2021). Half of the latents look at the whole memory. The others form a
square, and each looks at its own window of the memory. Both halves go through the same layers.

Attribute names are those of the published weights.
"""

import torch
from torch import Tensor, nn

from masklet.nn.config import ModelConfig
from masklet.nn.layers import LayerNorm2d, Prepared, attend, chain, to_map, to_tokens
from masklet.nn.positions import sine_map

LAYERS = 2
"""Layers of the perceiver, as published."""

FUSER_EXPANSION = 4
"""Times as many channels inside a feed-forward part, as published."""


def mask_downsampler(width: int) -> nn.Sequential:
    """(N, 1, S, S) -> (N, width, S/16, S/16)."""
    steps: list[nn.Module] = []
    for channels in (1, 4, 16, 64):  # 4 halvings to stride 16, four times the channels at each
        conv = nn.Conv2d(channels, channels * 4, kernel_size=3, stride=2, padding=1)
        steps += [conv, LayerNorm2d(channels * 4), nn.GELU()]
    return chain(encoder=nn.Sequential(*steps, nn.Conv2d(256, width, kernel_size=1)))


class FusionBlock(nn.Module):
    """A ConvNeXt block (Liu et al., 2022): (N, C, h, w) -> (N, C, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, kernel_size=7, padding=3, groups=width)
        self.norm = LayerNorm2d(width)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class MemoryEncoder(nn.Module):
    """Features plus a shrunken mask, fused and narrowed."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.mask_downsampler = mask_downsampler(width)
        self.pix_feat_proj = nn.Conv2d(width, width, kernel_size=1)
        self.fuser = chain(layers=nn.Sequential(*(FusionBlock(width) for _ in range(config.fusion_layers))))
        self.out_proj = nn.Conv2d(width, config.memory_width, kernel_size=1)

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        """features (N or 1, C, h, w), masks (N, 1, S, S) scaled to -10..10 -> (N, M, h, w)."""
        x = self.pix_feat_proj(features) + self.mask_downsampler(masks)
        return self.out_proj(self.fuser(x))


class LatentAttention(nn.Module):
    """Attention of one head, without biases, and the norms before it: latents (N, L, M) look at tokens (N, T, M)."""

    norm: nn.Module
    norm_x: nn.Module
    norm_latents: nn.Module

    def __init__(self, width: int, *norms: str) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(width, 2 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)
        for name in norms:
            self.add_module(name, nn.LayerNorm(width))

    def forward(self, latents: Tensor, tokens: Tensor, code: Tensor | None) -> Tensor:
        """Code (T, M) tells the places of tokens, to keys and to values; -> (N, L, M)."""
        kv = self.to_kv(tokens).unflatten(-1, (2, -1))
        kv = kv if code is None else kv + code.unsqueeze(-2)
        k, v = kv.unsqueeze(1).unbind(-2)
        return self.to_out(attend(self.to_q(latents)[:, None], k, v)[:, 0])


def feed_forward(width: int) -> nn.Sequential:
    """(N, L, M) -> (N, L, M)"""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, FUSER_EXPANSION * width, bias=False),
        nn.GELU(),
        nn.Linear(FUSER_EXPANSION * width, width, bias=False),
    )


class PerceiverLayer(nn.Module):
    """Latents look at tokens, then at each other; a feed-forward part after each look."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = LatentAttention(width, "norm_x", "norm_latents")
        self.ff = feed_forward(width)
        self.self_attn = LatentAttention(width, "norm")
        self.self_ff = feed_forward(width)

    def forward(self, latents: Tensor, tokens: Tensor, code: Tensor | None) -> Tensor:
        latents = latents + self.attn(self.attn.norm_latents(latents), self.attn.norm_x(tokens), code)
        latents = latents + self.ff(latents)
        normed = self.self_attn.norm(latents)
        latents = latents + self.self_attn(normed, normed, None)
        return latents + self.self_ff(latents)


class Perceiver(Prepared):
    """Condenses memories, by a square of g x g latents; `grid` (g) divides the height of a memory in cells."""

    def __init__(self, config: ModelConfig, grid: int) -> None:
        super().__init__("code")
        self.height, self.grid, width = config.memory_size, grid, config.memory_width
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
        for layer in self.layers:
            latents = layer(latents, tokens, code)
        return latents
