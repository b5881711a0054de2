"""A plain vision transformer (ViTDet: Li et al., 2022) as the first Segment Anything uses it: patches of 16 pixels;
most blocks attend in windows, a few to the whole map, and each adds codes of relative places.

Maps are kept channels last, (B, H, W, C).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import MEMORY_STRIDE, ViTConfig
from masklet.nn.encoders.hiera import PatchEmbed, filled_up, join_windows, split_windows
from masklet.nn.layers import Layer, Prepared, Trunk, chain

SCORES = 1 << 24
"""So many attention scores are held at once, 64 MiB: a global block of 1024 pixels has 16 million for each head."""


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
        step = max(1, SCORES // (q.shape[0] * self.heads * cells * self.side))
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
        whole = filled_up(qkv, self.attn.qkv.bias, count * self.window, count * self.window)
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
