"""Hiera: a hierarchical vision transformer that attends in windows (Ryali et al., 2023), as SAM 2 uses it.

Maps are kept channels last, (B, H, W, C), from the patch embedding to the ends of the stages.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import FINEST_STRIDE, HieraConfig
from masklet.nn.layers import MLP, Layer, Prepared, Trunk


class PatchEmbed(nn.Module):
    """Square patches, perhaps overlapping: (B, 3, S, S) -> (B, S/stride, S/stride, width)."""

    def __init__(self, width: int, kernel: int, stride: int, padding: int = 0) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel, stride, padding)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Self-attention within the windows of a map; with `pools`, queries are max-pooled 2 x 2 first.

    Where the map is no multiple of the window, windows at its right and lower edges are filled up with cells of zeros,
    which take part as keys, as published. Such a cell's query, key and value are the biases: nothing is computed on it.

    A window of 0 cells is the whole map.
    """

    def __init__(self, width: int, width_out: int, heads: int, window: int, pools: bool) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.pools = pools
        self.qkv = nn.Linear(width, 3 * width_out)
        self.proj = nn.Linear(width_out, width_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C'), or (B, H/2, W/2, C') if queries are pooled."""
        height, width = x.shape[1:3]
        rows, columns = (-(-side // self.window) if self.window else 1 for side in (height, width))
        if not self.window:
            qkv = self.qkv(x)
        elif (height, width) == (rows * self.window, columns * self.window):
            qkv = self.qkv(split_windows(x, self.window))
        else:
            filled = filled_up(self.qkv(x), self.qkv.bias, rows * self.window, columns * self.window)
            qkv = split_windows(filled, self.window)
        q, k, v = qkv.chunk(3, dim=-1)  # (B * rows * columns, window, window, C')
        if self.pools:
            q, height, width = pool2x2(q), height // 2, width // 2
        inner = q.shape[1:3]
        q, k, v = (t.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2).unflatten(1, inner)
        return self.proj(join_windows(seen, rows, columns)[:, :height, :width])


class Block(nn.Module):
    """Attention and feed-forward, each with a residual. A block that widens also halves the map."""

    def __init__(self, width: int, width_out: int, heads: int, window: int) -> None:
        super().__init__()
        self.pools = width != width_out
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = WindowAttention(width, width_out, heads, window, self.pools)
        self.norm2 = nn.LayerNorm(width_out, eps=1e-6)
        self.mlp = MLP(width_out, 4 * width_out, width_out, activation=nn.GELU)
        if self.pools:
            self.proj = nn.Linear(width, width_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C), or (B, H/2, W/2, 2C)."""
        normed = self.norm1(x)
        shortcut = pool2x2(self.proj(normed)) if self.pools else x
        x = shortcut + self.attn(normed)
        return x + self.mlp(self.norm2(x))


class Hiera(Prepared, Trunk):
    """The trunk: (B, 3, S, S) -> maps at strides 4, 8, 16 and 32, (B, width * 2**k, S/stride, S/stride)."""

    def __init__(self, config: HieraConfig, image_size: int) -> None:
        super().__init__("position")
        self.grid = image_size // FINEST_STRIDE
        self.patch_embed = PatchEmbed(config.width, kernel=7, stride=FINEST_STRIDE, padding=3)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.width, config.background, config.background))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, config.width, config.windows[0], config.windows[0]))
        self.blocks = nn.ModuleList(_blocks(config))
        self.stage_ends = tuple(sum(config.depths[: stage + 1]) - 1 for stage in range(4))

    def layers(self) -> list[Layer]:
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        return [Layer(self.patch_embed), *(Layer(block, (block.attn, block.mlp)) for block in blocks)]

    def compute_tables(self) -> tuple[Tensor]:
        """(1, S/4, S/4, width): a coarse grid stretched over the picture, plus a pattern repeated in every window."""
        background = F.interpolate(self.pos_embed, size=(self.grid, self.grid), mode="bicubic")
        repeats = self.grid // self.pos_embed_window.shape[-1]
        return ((background + self.pos_embed_window.tile(1, 1, repeats, repeats)).permute(0, 2, 3, 1),)

    def forward(self, images: Tensor) -> list[Tensor]:
        (position,) = self.tables()
        x = self.patch_embed(images) + position
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x.permute(0, 3, 1, 2))
        return maps


def _blocks(config: HieraConfig) -> list[Block]:
    blocks: list[Block] = []
    for stage, depth in enumerate(config.depths):
        width, heads = config.widths[stage], config.heads * 2**stage
        for index in range(depth):
            widens = index == 0 and stage > 0
            window = config.windows[stage - 1 if widens else stage]  # the window lags by one block
            window = 0 if len(blocks) in config.global_blocks else window
            blocks.append(Block(width // 2 if widens else width, width, heads, window))
    return blocks


def pool2x2(x: Tensor) -> Tensor:
    """The largest of 2 x 2 cells: (B, H, W, C) -> (B, H/2, W/2, C)."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=2).permute(0, 2, 3, 1)


def filled_up(x: Tensor, value: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W, C) -> (B, height, width, C) with the `value`, (C,), at the right and lower edges."""
    right = value.expand(x.shape[0], x.shape[1], width - x.shape[2], -1)
    below = value.expand(x.shape[0], height - x.shape[1], width, -1)
    return torch.cat((torch.cat((x, right), dim=2), below), dim=1)


def split_windows(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C), both sides multiples of the window -> (B * rows * columns, window, window, C)."""
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))  # (B, rows, window, columns, window, C)
    return x.transpose(2, 3).flatten(0, 2)


def join_windows(windows: Tensor, rows: int, columns: int) -> Tensor:
    """(B * rows * columns, window, window, C) -> (B, rows * window, columns * window, C)."""
    x = windows.unflatten(0, (-1, rows, columns)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)
