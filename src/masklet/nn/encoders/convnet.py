"""A plain residual convolutional trunk. On a CPU it gives the same three levels several times quicker than attention.

Full 3 x 3 convolutions with batch normalisation: what CPU libraries run best, and what a compiler folds away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.encoders.configs import ConvNetConfig
from masklet.nn.layers import Layer, Trunk


def convolution(width: int, width_out: int, stride: int = 1, gain: float = 1.0) -> nn.Sequential:
    """A 3 x 3 convolution and its normalisation, which begins at `gain`; (B, C, H, W) -> (B, C', H', W')."""
    norm = nn.BatchNorm2d(width_out)
    nn.init.constant_(norm.weight, gain)
    return nn.Sequential(nn.Conv2d(width, width_out, kernel_size=3, stride=stride, padding=1, bias=False), norm)


class ResidualBlock(nn.Module):
    """Two convolutions and a residual: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = convolution(width, width)
        self.conv2 = convolution(width, width, gain=0.0)  # a block begins as the identity

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class ConvNet(Trunk):
    """The trunk: (B, 3, S, S) -> maps at strides 4, 8, 16 and 32, (B, widths[k], S/stride, S/stride)."""

    memory_format = torch.channels_last

    def __init__(self, config: ConvNetConfig) -> None:
        super().__init__()
        first, *_ = config.widths
        self.stem = nn.Sequential(convolution(3, first // 2, stride=2), nn.ReLU())
        self.stages = nn.ModuleList()
        before = first // 2
        for width, depth in zip(config.widths, config.depths, strict=True):
            down = nn.Sequential(convolution(before, width, stride=2), nn.ReLU())
            self.stages.append(nn.Sequential(down, *(ResidualBlock(width) for _ in range(depth))))
            before = width

    def layers(self) -> list[Layer]:
        parts = [part for stage in self.stages for part in stage.children()]
        branches = [(part.conv2,) if isinstance(part, ResidualBlock) else () for part in parts]
        return [Layer(self.stem), *map(Layer, parts, branches)]

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
