"""TinyViT: convolutions first, then attention in windows (Wu et al., 2022), as MobileSAM uses it: its last stage stays
at stride 16. Attribute names are those of the published weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import TinyViTConfig
from masklet.nn.encoders.hiera import filled_up, join_windows, split_windows
from masklet.nn.encoders.repvit import convolution
from masklet.nn.encoders.vit import at_stride_16
from masklet.nn.layers import Layer, Prepared, Trunk, chain

EXPANSION = 4
"""Times as many channels inside a block."""


class ConvBlock(nn.Module):
    """Widen, look around, narrow, with a residual: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width * EXPANSION
        self.conv1 = convolution(width, inner)
        self.conv2 = convolution(inner, inner, 3, groups=inner)
        self.conv3 = convolution(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


def merge(width: int, width_out: int, stride: int) -> nn.Sequential:
    """To another width, and perhaps half the side: (B, C, H, W) -> (B, C', H/stride, W/stride)."""
    return chain(
        conv1=convolution(width, width_out),
        act1=nn.GELU(),
        conv2=convolution(width_out, width_out, 3, stride, groups=width_out),
        act2=nn.GELU(),
        conv3=convolution(width_out, width_out),
    )


class WindowAttention(Prepared):
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
        qkv = filled_up(self.qkv(self.norm(x)), empty, rows * self.window, columns * self.window)
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
        self.attn = WindowAttention(width, heads, window)
        self.local_conv = convolution(width, width, 3, groups=width)
        inner = EXPANSION * width
        self.mlp = chain(
            norm=nn.LayerNorm(width), fc1=nn.Linear(width, inner), act=nn.GELU(), fc2=nn.Linear(inner, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = x + self.attn(x)
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return (x + self.mlp(x)).permute(0, 3, 1, 2)


class Stage(nn.Module):
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
        finer, fine = convolution(3, widths[0] // 2, 3, 2), convolution(widths[0] // 2, widths[0], 3, 2)
        self.patch_embed = chain(seq=nn.Sequential(finer, nn.GELU(), fine))  # to stride 4
        ways = [merge(widths[stage], widths[stage + 1], strides[stage]) for stage in range(3)]
        blocks: list[list[nn.Module]] = [[ConvBlock(widths[0]) for _ in range(config.depths[0])]]
        for stage in (1, 2, 3):
            kind = widths[stage], config.heads[stage], config.windows[stage]
            blocks.append([AttentionBlock(*kind) for _ in range(config.depths[stage])])
        stages = [Stage(each, way) for each, way in zip(blocks, (*ways, None), strict=True)]
        self.stages = nn.ModuleList(stages)

    def layers(self) -> list[Layer]:
        return [Layer(self.patch_embed), *map(Layer, self._parts())]

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.patch_embed(images)
        for part in self._parts():
            x = part(x)
        return at_stride_16(x)

    def _parts(self) -> list[nn.Module]:
        return [part for stage in self.stages if isinstance(stage, Stage) for part in stage.parts()]
