"""RepViT: a convolutional trunk for phones in the shape of a vision transformer (Wang et al., 2024), as in EdgeTAM.

A block looks around by depthwise convolutions and mixes channels by 1 x 1 convolutions. Three ways stand side by side
while a network learns, a 3 x 3 convolution, a 1 x 1 convolution and the map itself; to run it they become one.
Attribute names are those of the published weights, which come from timm's `repvit_m1`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn import layers
from masklet.nn.config import RepViTConfig
from masklet.nn.layers import Layer, Trunk, after_each, chain, fold_norm

EXPANSION = 2
"""Times as many channels between the two 1 x 1 convolutions of a block."""

SQUEEZE, SQUEEZE_STEP = 4, 8
"""A squeeze narrows to a fourth of the channels, rounded to a multiple of eight."""


def convolution(width: int, width_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """See `masklet.nn.layers.convolution`; by the published names."""
    conv, norm = layers.convolution(width, width_out, kernel, stride, groups)
    return chain(c=conv, bn=norm)


class LookAround(nn.Module):
    """A depthwise 3 x 3 convolution, one of 1 x 1, and the map itself, added: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = convolution(width, width, kernel=3, groups=width)
        self.conv1 = convolution(width, width, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.conv1(x) + x

    def folded(self) -> nn.Module:
        """One 3 x 3 convolution, in float32, that answers the same: the others only look at its middle."""
        wide, middle = fold_norm(*self.conv), fold_norm(*self.conv1)
        assert wide.bias is not None, "folding gives a bias"
        assert middle.bias is not None, "folding gives a bias"
        with torch.no_grad():
            wide.weight += F.pad(middle.weight + 1, (1, 1, 1, 1))
            wide.bias += middle.bias
        return wide


def mix_channels(width: int) -> nn.Sequential:
    """Widen and narrow: (B, C, H, W) -> (B, C, H, W)."""
    conv1, conv2 = convolution(width, width * EXPANSION), convolution(width * EXPANSION, width)
    nn.init.zeros_(conv2[1].weight)  # type: ignore[arg-type]  # a block begins as its depthwise part alone
    return chain(conv1=conv1, act=nn.GELU(), conv2=conv2)


class Squeeze(nn.Module):
    """Scale each channel by what the mean of all channels tells (Hu et al., 2018): (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = max(SQUEEZE_STEP, (width // SQUEEZE + SQUEEZE_STEP // 2) // SQUEEZE_STEP * SQUEEZE_STEP)
        self.fc1 = nn.Conv2d(width, narrow, kernel_size=1)
        self.fc2 = nn.Conv2d(narrow, width, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * y.sigmoid()


class Block(nn.Module):
    """Look around, perhaps squeeze, mix channels: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int, squeezes: bool) -> None:
        super().__init__()
        self.token_mixer = LookAround(width)
        self.se = Squeeze(width) if squeezes else nn.Identity()
        self.channel_mixer = mix_channels(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.se(self.token_mixer(x))
        return x + self.channel_mixer(x)


class Halve(nn.Module):
    """A block, then half the side: (B, C, H, W) -> (B, C', H/2, W/2)."""

    def __init__(self, width: int, width_out: int) -> None:
        super().__init__()
        self.pre_block = Block(width, squeezes=False)
        self.spatial_downsample = convolution(width, width, kernel=3, stride=2, groups=width)
        self.channel_downsample = convolution(width, width_out)
        self.ffn = mix_channels(width_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.channel_downsample(self.spatial_downsample(self.pre_block(x)))
        return x + self.ffn(x)


class Stage(nn.Module):
    """Blocks of one width, of which every other one squeezes."""

    def __init__(self, width: int, width_out: int, depth: int, halves: bool) -> None:
        super().__init__()
        self.downsample = Halve(width, width_out) if halves else nn.Identity()
        self.blocks = nn.Sequential(*(Block(width_out, squeezes=index % 2 == 0) for index in range(depth)))

    def parts(self) -> list[nn.Module]:
        """What halves the map, if anything does, and the blocks."""
        return [part for part in (self.downsample, *self.blocks) if isinstance(part, Halve | Block)]

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.downsample(x))


class RepViT(Trunk):
    """The trunk: (B, 3, S, S) -> maps at strides 4, 8, 16 and 32, (B, widths[k], S/stride, S/stride)."""

    memory_format = torch.channels_last

    def __init__(self, config: RepViTConfig, _: int) -> None:
        super().__init__()
        before = (config.widths[0], *config.widths[:3])
        stages = {
            f"stages_{index}": Stage(*sizes, halves=index > 0)
            for index, sizes in enumerate(zip(before, config.widths, config.depths, strict=True))
        }
        width = config.widths[0]
        stem = chain(  # (B, 3, S, S) -> (B, C, S/4, S/4)
            conv1=convolution(3, width // 2, kernel=3, stride=2),
            act=nn.GELU(),
            conv2=convolution(width // 2, width, kernel=3, stride=2),
        )
        self.body = nn.ModuleDict({"stem": stem, **stages})

    def layers(self) -> list[Layer]:
        """The stem and the blocks. None is left out at random: a block's answer is not only added to what comes in."""
        stem, *stages = self.body.values()
        parts = [part for stage in stages if isinstance(stage, Stage) for part in stage.parts()]
        return [Layer(stem), *map(Layer, parts)]

    def forward(self, images: Tensor) -> list[Tensor]:
        stem, *stages = self.body.values()
        return after_each(stages, stem(images))
