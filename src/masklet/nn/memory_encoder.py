"""The memory encoder: a frame's features and an object's mask to one memory (SAM 2: Ravi et al., 2024, sec. 4)."""

import torch
from torch import Tensor, nn

from masklet.nn.layers import LayerNorm2d, chain


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

    def __init__(self, width: int, memory_width: int, layers: int) -> None:
        super().__init__()
        self.mask_downsampler = mask_downsampler(width)
        self.pix_feat_proj = nn.Conv2d(width, width, kernel_size=1)
        self.fuser = chain(layers=nn.Sequential(*(FusionBlock(width) for _ in range(layers))))
        self.out_proj = nn.Conv2d(width, memory_width, kernel_size=1)

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        """features (N or 1, C, h, w), masks (N, 1, S, S) scaled to -10..10 -> (N, M, h, w)."""
        x = self.pix_feat_proj(features) + self.mask_downsampler(masks)
        return self.out_proj(self.fuser(x))
