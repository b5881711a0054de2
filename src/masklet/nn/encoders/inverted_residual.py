"""A trunk of inverted residuals (MobileNetV2: Sandler et al., 2018), the blocks of the EfficientNet family.

Few multiplications for many layers: a 1 x 1 convolution widens, a depthwise one looks around, another 1 x 1 narrows.
EfficientNet-Lite0 (Tan and Le, 2019; no squeeze-and-excite, ReLU6) is one table of stages, `LITE0`.
"""

from functools import partial

import torch
from torch import Tensor, nn

from masklet.nn import layers
from masklet.nn.config import InvertedResidualConfig
from masklet.nn.layers import Layer, Trunk

NORM_EPS = 1e-3
"""The epsilon of all batch normalisations, as in EfficientNet."""


convolution = partial(layers.convolution, eps=NORM_EPS)

activation = partial(nn.ReLU6, inplace=True)
"""In place: new maps, of which the largest have ten megabytes, take a quarter of the time on a processor."""


class InvertedResidual(nn.Module):
    """Widen by the expansion, if it is over 1, look around, narrow; with a residual where the shape stays.

    (B, C, H, W) -> (B, C', H/stride, W/stride)
    """

    def __init__(self, width: int, width_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self.residual = stride == 1 and width == width_out
        self.expand = nn.Sequential(*convolution(width, inner), activation()) if expansion > 1 else nn.Identity()
        self.depth = nn.Sequential(*convolution(inner, inner, kernel, stride, groups=inner), activation())
        self.project = nn.Sequential(*convolution(inner, width_out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depth(self.expand(x)))
        return x + y if self.residual else y


class InvertedResidualTrunk(Trunk):
    """The trunk: (B, 3, S, S) -> maps at strides 4, 8, 16 and 32, (B, widths[k], S/stride, S/stride)."""

    memory_format = torch.channels_last

    def __init__(self, config: InvertedResidualConfig, _: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(3, config.stem, kernel=3, stride=2), activation())
        blocks: list[InvertedResidual] = []
        ends: list[int] = []
        width = config.stem
        for kernel, stride, expansion, width_out, repeats in config.stages:
            if stride == 2 and blocks:
                ends.append(len(blocks) - 1)
            for repeat in range(repeats):
                blocks.append(InvertedResidual(width, width_out, kernel, 1 if repeat else stride, expansion))
                width = width_out
        self.blocks = nn.ModuleList(blocks)
        self.ends = (*ends[1:], len(blocks) - 1)  # the first end is still at stride 2
        self.detail = None
        if config.detail:
            self.detail = nn.Sequential(*convolution(config.stem, config.detail, kernel=3, stride=2), activation())

    def layers(self) -> list[Layer]:
        blocks = [block for block in self.blocks if isinstance(block, InvertedResidual)]
        return [Layer(self.stem), *(Layer(block, (block.project,) if block.residual else ()) for block in blocks)]

    def forward(self, images: Tensor) -> list[Tensor]:
        x = stem = self.stem(images)
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.ends:
                maps.append(x)
        if self.detail is not None:
            maps[0] = torch.cat((maps[0], self.detail(stem)), dim=1)
        return maps
