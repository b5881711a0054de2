"""A plain residual convolutional trunk. On a CPU it gives the same three levels several times quicker than attention.

Full 3 x 3 convolutions with batch normalisation: what CPU libraries run best, and what a compiler folds away.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import ConvNetConfig
from masklet.nn.layers import Layer, Trunk, after_each, convolution


class ResidualBlock(nn.Module):
    """Two convolutions and a residual: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*convolution(width, width, kernel=3))
        conv, norm = convolution(width, width, kernel=3)
        nn.init.zeros_(norm.weight)  # a block begins as the identity
        self.conv2 = nn.Sequential(conv, norm)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


def halving(width: int, width_out: int) -> nn.Sequential:
    """(B, C, H, W) -> (B, C', H/2, W/2)"""
    return nn.Sequential(nn.Sequential(*convolution(width, width_out, kernel=3, stride=2)), nn.ReLU())


class ConvNet(Trunk):
    """The trunk: (B, 3, S, S) -> maps at strides 4, 8, 16 and 32, (B, widths[k], S/stride, S/stride)."""

    memory_format = torch.channels_last

    def __init__(self, config: ConvNetConfig, _: int) -> None:
        super().__init__()
        before = config.widths[0] // 2
        self.stem = halving(3, before)
        self.stages = nn.ModuleList()
        for width, depth in zip(config.widths, config.depths, strict=True):
            blocks = (ResidualBlock(width) for _ in range(depth))
            self.stages.append(nn.Sequential(halving(before, width), *blocks))
            before = width

    def layers(self) -> list[Layer]:
        parts = [part for stage in self.stages for part in stage.children()]
        branches = [(part.conv2,) if isinstance(part, ResidualBlock) else () for part in parts]
        return [Layer(self.stem), *map(Layer, parts, branches)]

    def forward(self, images: Tensor) -> list[Tensor]:
        return after_each(self.stages, self.stem(images))
