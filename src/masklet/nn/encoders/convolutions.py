"""Trunks of convolutions: plain residual ones, inverted residuals and RepViT.

Full 3 x 3 convolutions with batch normalisation give the same levels on a CPU several times quicker than attention:
they are what CPU libraries run best, and what a compiler folds away.

Inverted residuals (MobileNetV2: Sandler et al., 2018) are the blocks of the EfficientNet family, with few
multiplications for many layers: a 1 x 1 convolution widens, a depthwise one looks around, another 1 x 1 narrows.

RepViT (Wang et al., 2024) is a trunk for phones in the shape of a vision transformer, as in EdgeTAM. A block looks
around by depthwise convolutions and mixes channels by 1 x 1 convolutions. Three ways stand side by side while a
network learns, a 3 x 3 convolution, a 1 x 1 convolution and the map itself; to run it they become one. Its attribute
names are those of the published weights, which come from timm's `repvit_m1`.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import ConvNetConfig, InvertedResidualConfig, RepViTConfig
from masklet.nn.layers import Layer, Trunk, after_each, chain, convolution, fold_norm

NORM_EPS = 1e-3
"""The epsilon of all batch normalisations, as in EfficientNet."""

MIXER_EXPANSION = 2
"""Times as many channels between the two 1 x 1 convolutions of a block."""

SQUEEZE, SQUEEZE_STEP = 4, 8
"""A squeeze narrows to a fourth of the channels, rounded to a multiple of eight."""

lite_convolution = partial(convolution, eps=NORM_EPS)

activation = partial(nn.ReLU6, inplace=True)
"""In place: new maps, of which the largest have ten megabytes, take a quarter of the time on a processor."""


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


class InvertedResidual(nn.Module):
    """Widen by the expansion, if it is over 1, look around, narrow; with a residual where the shape stays.

    (B, C, H, W) -> (B, C', H/stride, W/stride)
    """

    def __init__(self, width: int, width_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self.residual = stride == 1 and width == width_out
        self.expand = nn.Sequential(*lite_convolution(width, inner), activation()) if expansion > 1 else nn.Identity()
        self.depth = nn.Sequential(*lite_convolution(inner, inner, kernel, stride, groups=inner), activation())
        self.project = nn.Sequential(*lite_convolution(inner, width_out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depth(self.expand(x)))
        return x + y if self.residual else y


class InvertedResidualTrunk(Trunk):
    """The trunk: (B, 3, S, S) -> maps at strides 4, 8, 16 and 32, (B, widths[k], S/stride, S/stride)."""

    memory_format = torch.channels_last

    def __init__(self, config: InvertedResidualConfig, _: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*lite_convolution(3, config.stem, kernel=3, stride=2), activation())
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
            self.detail = nn.Sequential(*lite_convolution(config.stem, config.detail, kernel=3, stride=2), activation())

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


def named_convolution(width: int, width_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """See `masklet.nn.layers.convolution`; by the published names."""
    conv, norm = convolution(width, width_out, kernel, stride, groups)
    return chain(c=conv, bn=norm)


class LookAround(nn.Module):
    """A depthwise 3 x 3 convolution, one of 1 x 1, and the map itself, added: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = named_convolution(width, width, kernel=3, groups=width)
        self.conv1 = named_convolution(width, width, groups=width)

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
    conv1, conv2 = named_convolution(width, width * MIXER_EXPANSION), named_convolution(width * MIXER_EXPANSION, width)
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
        self.spatial_downsample = named_convolution(width, width, kernel=3, stride=2, groups=width)
        self.channel_downsample = named_convolution(width, width_out)
        self.ffn = mix_channels(width_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.channel_downsample(self.spatial_downsample(self.pre_block(x)))
        return x + self.ffn(x)


class RepViTStage(nn.Module):
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
            f"stages_{index}": RepViTStage(*sizes, halves=index > 0)
            for index, sizes in enumerate(zip(before, config.widths, config.depths, strict=True))
        }
        width = config.widths[0]
        stem = chain(  # (B, 3, S, S) -> (B, C, S/4, S/4)
            conv1=named_convolution(3, width // 2, kernel=3, stride=2),
            act=nn.GELU(),
            conv2=named_convolution(width // 2, width, kernel=3, stride=2),
        )
        self.body = nn.ModuleDict({"stem": stem, **stages})

    def layers(self) -> list[Layer]:
        """The stem and the blocks. None is left out at random: a block's answer is not only added to what comes in."""
        stem, *stages = self.body.values()
        parts = [part for stage in stages if isinstance(stage, RepViTStage) for part in stage.parts()]
        return [Layer(stem), *map(Layer, parts)]

    def forward(self, images: Tensor) -> list[Tensor]:
        stem, *stages = self.body.values()
        return after_each(stages, stem(images))
