"""Trunks that attend in windows: Hiera (Ryali et al., 2023) as SAM 2 uses it, a plain vision transformer (ViTDet: Li et
al., 2022) as the first Segment Anything does, and TinyViT (Wu et al., 2022) as MobileSAM does.

Attribute names are those of the published weights. Maps are kept channels last, (B, H, W, C), but for TinyViT's.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import FINEST_STRIDE, MEMORY_STRIDE, HieraConfig, TinyViTConfig, ViTConfig
from masklet.nn.encoders.convolutions import named_convolution
from masklet.nn.layers import MLP, Layer, Prepared, Trunk, chain

SCORES_AT_ONCE = 1 << 24
"""So many attention scores are held at once, 64 MiB: a global block of 1024 pixels has 16 million for each head."""

BLOCK_EXPANSION = 4
"""Times as many channels inside a block."""


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
            filled = padded_map(self.qkv(x), self.qkv.bias, rows * self.window, columns * self.window)
            qkv = split_windows(filled, self.window)
        q, k, v = qkv.chunk(3, dim=-1)  # (B * rows * columns, window, window, C')
        if self.pools:
            q, height, width = pool2x2(q), height // 2, width // 2
        inner = q.shape[1:3]
        q, k, v = (t.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2).unflatten(1, inner)
        return self.proj(join_windows(seen, rows, columns)[:, :height, :width])


class HieraBlock(nn.Module):
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
        self.blocks = nn.ModuleList(_hiera_blocks(config))
        self.stage_ends = tuple(sum(config.depths[: stage + 1]) - 1 for stage in range(4))

    def layers(self) -> list[Layer]:
        blocks = [block for block in self.blocks if isinstance(block, HieraBlock)]
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


def _hiera_blocks(config: HieraConfig) -> list[HieraBlock]:
    blocks: list[HieraBlock] = []
    for stage, depth in enumerate(config.depths):
        width, heads = config.widths[stage], config.heads * 2**stage
        for index in range(depth):
            widens = index == 0 and stage > 0
            window = config.windows[stage - 1 if widens else stage]  # the window lags by one block
            window = 0 if len(blocks) in config.global_blocks else window
            blocks.append(HieraBlock(width // 2 if widens else width, width, heads, window))
    return blocks


def pool2x2(x: Tensor) -> Tensor:
    """The largest of 2 x 2 cells: (B, H, W, C) -> (B, H/2, W/2, C)."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=2).permute(0, 2, 3, 1)


def padded_map(x: Tensor, value: Tensor, height: int, width: int) -> Tensor:
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


class RelativeAttention(Prepared):
    """Self-attention over a square map, whose scores have codes of how far rows and columns are apart; the codes were
    learned for a map of `learned` x `learned` cells."""

    def __init__(self, width: int, heads: int, side: int, learned: int) -> None:
        super().__init__("rows", "columns")
        self.heads, self.side = heads, side
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * learned - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * learned - 1, width // heads))

    def compute_tables(self) -> tuple[Tensor, Tensor]:
        """The codes between every two rows, and between every two columns: (side, side, D) each."""
        place = torch.arange(self.side, device=self.rel_pos_h.device)
        apart = place[:, None] - place + self.side - 1
        codes = (stretched(code, 2 * self.side - 1) for code in (self.rel_pos_h, self.rel_pos_w))
        rows, columns = (code[apart] for code in codes)
        return rows, columns

    def forward(self, qkv: Tensor) -> Tensor:
        """Queries, keys and values (B, side, side, 3 * C) -> (B, side, side, C)."""
        rows, columns = (table.to(qkv.dtype) for table in self.tables())
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(3, 0, 4, 1, 2, 5)  # (B, heads, side, side, D) each
        keys, values = k.flatten(2, 3), v.flatten(2, 3)
        cells = self.side**2
        step = max(1, SCORES_AT_ONCE // (q.shape[0] * self.heads * cells * self.side))
        seen = []
        for first in range(0, self.side, step):
            part = q[:, :, first : first + step]
            by_row = torch.einsum("nhrcd,rkd->nhrck", part, rows[first : first + step])
            by_column = torch.einsum("nhrcd,ckd->nhrck", part, columns)
            bias = by_row.unsqueeze(-1) + by_column.unsqueeze(-2)  # (B, heads, rows, side, side, side)
            bias = bias.flatten(4, 5).flatten(2, 3)
            seen.append(F.scaled_dot_product_attention(part.flatten(2, 3), keys, values, attn_mask=bias))
        answer = torch.cat(seen, dim=2).unflatten(2, (self.side, self.side))
        return self.proj(answer.permute(0, 2, 3, 1, 4).flatten(3))


def stretched(code: Tensor, length: int) -> Tensor:
    """Codes of distances (L, D), stretched to (length, D)."""
    if code.shape[0] == length:
        return code
    return F.interpolate(code.T[None].float(), size=length, mode="linear")[0].T.to(code.dtype)


class ViTBlock(nn.Module):
    """Attention and feed-forward, each with a residual: (B, H, W, C) -> (B, H, W, C).

    Where the map is no multiple of the window, windows are filled up with zeros, which take part as keys, as published.
    """

    def __init__(self, width: int, heads: int, window: int, side: int, learned: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = RelativeAttention(width, heads, window or side, window or learned)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = chain(lin1=nn.Linear(width, 4 * width), act=nn.GELU(), lin2=nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.look(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def look(self, x: Tensor) -> Tensor:
        """Attention, in windows or to the whole map."""
        side, qkv = x.shape[1], self.attn.qkv(x)
        if not self.window:
            return self.attn(qkv)
        count = math.ceil(side / self.window)
        whole = padded_map(qkv, self.attn.qkv.bias, count * self.window, count * self.window)
        return join_windows(self.attn(split_windows(whole, self.window)), count, count)[:, :side, :side]


class ViT(Prepared, Trunk):
    """The trunk: (B, 3, S, S) -> a map at stride 16, (B, C, S/16, S/16), and maps without channels at 4, 8 and 32."""

    def __init__(self, config: ViTConfig, image_size: int) -> None:
        super().__init__("position")
        self.side = side = image_size // MEMORY_STRIDE
        self.patch_embed = PatchEmbed(config.width, MEMORY_STRIDE, MEMORY_STRIDE)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid, config.grid, config.width))
        windows = [0 if index in config.global_blocks else config.window for index in range(config.depth)]
        self.blocks = nn.ModuleList(
            ViTBlock(config.width, config.heads, window, side, config.grid) for window in windows
        )

    def layers(self) -> list[Layer]:
        return [Layer(self.patch_embed), *map(Layer, self.blocks)]

    def compute_tables(self) -> tuple[Tensor]:
        """(1, S/16, S/16, C): the code of every place, stretched where the map has another size."""
        if self.pos_embed.shape[1] == self.side:
            return (self.pos_embed,)
        code = F.interpolate(self.pos_embed.permute(0, 3, 1, 2), size=(self.side,) * 2, mode="bicubic", antialias=True)
        return (code.permute(0, 2, 3, 1),)

    def forward(self, images: Tensor) -> list[Tensor]:
        (position,) = self.tables()
        x = self.patch_embed(images) + position
        for block in self.blocks:
            x = block(x)
        return at_stride_16(x.permute(0, 3, 1, 2))


def at_stride_16(x: Tensor) -> list[Tensor]:
    """The four maps of a trunk that has one at stride 16 only, (B, C, h, w)."""
    count, _, side, _ = x.shape
    none4, none8, none32 = (x.new_zeros(count, 0, *(int(side * scale),) * 2) for scale in (4, 2, 0.5))
    return [none4, none8, x, none32]


class ConvBlock(nn.Module):
    """Widen, look around, narrow, with a residual: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width * BLOCK_EXPANSION
        self.conv1 = named_convolution(width, inner)
        self.conv2 = named_convolution(inner, inner, 3, groups=inner)
        self.conv3 = named_convolution(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


def patch_merging(width: int, width_out: int, stride: int) -> nn.Sequential:
    """To another width, and perhaps half the side: (B, C, H, W) -> (B, C', H/stride, W/stride)."""
    return chain(
        conv1=named_convolution(width, width_out),
        act1=nn.GELU(),
        conv2=named_convolution(width_out, width_out, 3, stride, groups=width_out),
        act2=nn.GELU(),
        conv3=named_convolution(width_out, width_out),
    )


class BiasedAttention(Prepared):
    """Attention in windows, whose scores have a number for each distance of rows and columns, by head.

    Where the map is no multiple of the window, windows are filled up with zeros that are normalised too, as published.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__("bias")
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))

    def compute_tables(self) -> tuple[Tensor]:
        """(heads, T, T) for the T cells of a window."""
        place = torch.arange(self.window, device=self.attention_biases.device)
        apart = (place[:, None] - place).abs()
        index = apart[:, None, :, None] * self.window + apart[None, :, None, :]  # (row, column, row, column)
        return (self.attention_biases[:, index.flatten(2, 3).flatten(0, 1)],)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        height, width = x.shape[1:3]
        rows, columns = math.ceil(height / self.window), math.ceil(width / self.window)
        empty = self.qkv(self.norm.bias)
        qkv = padded_map(self.qkv(self.norm(x)), empty, rows * self.window, columns * self.window)
        tokens = split_windows(qkv, self.window).flatten(1, 2).unflatten(-1, (self.heads, 3, -1))
        q, k, v = tokens.permute(3, 0, 2, 1, 4)  # (B * rows * columns, heads, T, D) each
        (bias,) = self.tables()
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        answer = self.proj(seen.transpose(1, 2).flatten(2)).unflatten(1, (self.window, self.window))
        return join_windows(answer, rows, columns)[:, :height, :width]


class AttentionBlock(nn.Module):
    """Attention, a depthwise convolution, and a feed-forward part: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.attn = BiasedAttention(width, heads, window)
        self.local_conv = named_convolution(width, width, 3, groups=width)
        inner = BLOCK_EXPANSION * width
        self.mlp = chain(
            norm=nn.LayerNorm(width), fc1=nn.Linear(width, inner), act=nn.GELU(), fc2=nn.Linear(inner, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = x + self.attn(x)
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return (x + self.mlp(x)).permute(0, 3, 1, 2)


class TinyViTStage(nn.Module):
    """Blocks of one width, and the way to the next stage."""

    def __init__(self, blocks: list[nn.Module], way: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = way

    def parts(self) -> list[nn.Module]:
        """What is passed, in order."""
        return [*self.blocks, *([] if self.downsample is None else [self.downsample])]


class TinyViT(Trunk):
    """The trunk: (B, 3, S, S) -> a map at stride 16, (B, C, S/16, S/16), and maps without channels at 4, 8 and 32."""

    def __init__(self, config: TinyViTConfig, _: int) -> None:
        super().__init__()
        widths, strides = config.channels, (2, 2, 1)
        finer, fine = named_convolution(3, widths[0] // 2, 3, 2), named_convolution(widths[0] // 2, widths[0], 3, 2)
        self.patch_embed = chain(seq=nn.Sequential(finer, nn.GELU(), fine))  # to stride 4
        ways = [patch_merging(widths[stage], widths[stage + 1], strides[stage]) for stage in range(3)]
        blocks: list[list[nn.Module]] = [[ConvBlock(widths[0]) for _ in range(config.depths[0])]]
        for stage in (1, 2, 3):
            kind = widths[stage], config.heads[stage], config.windows[stage]
            blocks.append([AttentionBlock(*kind) for _ in range(config.depths[stage])])
        stages = [TinyViTStage(each, way) for each, way in zip(blocks, (*ways, None), strict=True)]
        self.stages = nn.ModuleList(stages)

    def layers(self) -> list[Layer]:
        return [Layer(self.patch_embed), *map(Layer, self._parts())]

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.patch_embed(images)
        for part in self._parts():
            x = part(x)
        return at_stride_16(x)

    def _parts(self) -> list[nn.Module]:
        return [part for stage in self.stages if isinstance(stage, TinyViTStage) for part in stage.parts()]
