"""The configurations of masklet's image encoders: each checks itself, and builds the trunk of the file of its kind.

Imports no torch, so that models are listed, and exported ones run, without it.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from masklet.errors import ConfigError
from masklet.nn.config import COARSEST_STRIDE, FINEST_STRIDE, check_counts, neighbours

if TYPE_CHECKING:
    from masklet.nn.layers import Trunk


class Encoder:
    """A configuration whose trunk, made of it and an image size, is the class `trunk` of the file of its kind."""

    kind: ClassVar[str]
    trunk: ClassVar[str]

    def build(self, image_size: int) -> Trunk:
        """The trunk, with random weights."""
        file: Any = importlib.import_module(f"masklet.nn.encoders.{self.kind}")  # it imports torch
        return getattr(file, self.trunk)(self, image_size)


def check_attention(width: int, heads: int, global_blocks: Sequence[int], blocks: int) -> None:
    """Raise `ConfigError` for a width that heads do not divide, and for global blocks that there are not."""
    if width % heads:
        raise ConfigError(f"width {width} of the trunk is no multiple of its {heads} heads")
    if outside := [block for block in global_blocks if not 0 <= block < blocks]:
        raise ConfigError(f"global_blocks hold {outside}, and the trunk has blocks 0 to {blocks - 1}")


@dataclass(frozen=True)
class HieraConfig(Encoder):
    """A Hiera trunk (Ryali et al., 2023) with windowed attention and a two-part position embedding.

    Attributes:
        width: Channels of the first stage; each later stage doubles them.
        heads: Attention heads of the first stage; each later stage doubles them.
        depths: Blocks of the four stages.
        windows: Side of the attention windows of the four stages, in cells. The first block of a
            stage still uses the window of the stage before it.
        global_blocks: Blocks, counted over all stages, that attend to the whole map.
        background: Side of the coarse position grid that is stretched over the picture.
    """

    kind = "hiera"
    trunk = "Hiera"
    width: int
    heads: int
    depths: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    background: int = 7

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of the four stages, fine to coarse."""
        return (self.width, self.width * 2, self.width * 4, self.width * 8)

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` if a trunk of this shape cannot be built for the image size."""
        check_counts("depths", self.depths)
        check_counts("windows", self.windows)
        check_counts("width and heads", (self.width, self.heads, 1, 1))
        check_attention(self.width, self.heads, self.global_blocks, sum(self.depths))
        unit = FINEST_STRIDE * self.windows[0]
        if image_size % unit:
            whole = math.lcm(unit, COARSEST_STRIDE)
            raise ConfigError(
                f"image_size {image_size} is no multiple of {unit}, which windows of {self.windows[0]} cells "
                f"at stride {FINEST_STRIDE} need; give {neighbours(image_size, whole)}"
            )
        pooling = {sum(self.depths[:stage]) for stage in (1, 2, 3)}
        if pooled := pooling.intersection(self.global_blocks):
            raise ConfigError(
                f"global_blocks {self.global_blocks} hold {sorted(pooled)}, the first blocks of a stage: these pool "
                "their queries inside windows and cannot be global; choose other blocks"
            )


@dataclass(frozen=True)
class ConvNetConfig(Encoder):
    """A plain residual convolutional trunk: the quicker choice on a CPU.

    Attributes:
        widths: Channels of the four stages (strides 4, 8, 16, 32).
        depths: Residual blocks of the four stages.
    """

    kind = "convnet"
    trunk = "ConvNet"
    least_width: ClassVar[int] = 1
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` for impossible widths or depths; any image size that the levels need will do."""
        check_counts("widths", self.widths, self.least_width)
        check_counts("depths", self.depths, least=0)


@dataclass(frozen=True)
class InvertedResidualConfig(Encoder):
    """A trunk of inverted residuals (MobileNetV2: Sandler et al., 2018), as in EfficientNet-Lite.

    Attributes:
        stem: Channels of the first convolution, which halves the picture.
        stages: One after another, each (kernel, stride of its first block, expansion, channels, blocks). Those of
            stride 2 are four: they lead to strides 4, 8, 16 and 32.
        detail: Channels of a second way from the stem to stride 4, for edges and small things; 0 for none.
    """

    kind = "inverted_residual"
    trunk = "InvertedResidualTrunk"
    stem: int
    stages: tuple[tuple[int, int, int, int, int], ...]
    detail: int = 0

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of the maps at strides 4, 8, 16 and 32."""
        starts = [place for place, (_, stride, *_) in enumerate(self.stages) if stride == 2]
        finest, *others = (self.stages[after - 1][3] for after in (*starts[1:], len(self.stages)))
        return (finest + self.detail, *others)  # type: ignore[return-value]

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` for a table that is no trunk; any image size that the levels need will do."""
        for stage in self.stages:
            kernel, stride, *counts = numbers = [number if type(number) is int else 0 for number in stage]
            if len(counts) != 3 or min(numbers) < 1 or kernel % 2 == 0 or stride > 2:
                raise ConfigError(
                    f"stage {stage} of the trunk is none; give (odd kernel, stride 1 or 2, expansion, channels, blocks)"
                )
        strides = [stage[1] for stage in self.stages]
        if strides.count(2) != 4 or strides[0] == 2:
            raise ConfigError(f"the trunk's stages have strides {strides}; give four 2s, and none at the beginning")
        if not (type(self.stem) is type(self.detail) is int and self.stem >= 1 and self.detail >= 0):
            raise ConfigError(
                f"stem and detail of the trunk are {self.stem} and {self.detail}; give numbers of channels"
            )


LITE0 = InvertedResidualConfig(
    stem=32,
    stages=(
        (3, 1, 1, 16, 1),
        (3, 2, 6, 24, 2),
        (5, 2, 6, 40, 2),
        (3, 2, 6, 80, 3),
        (5, 1, 6, 112, 3),
        (5, 2, 6, 192, 4),
        (3, 1, 6, 320, 1),
    ),
    detail=32,
)
"""EfficientNet-Lite0 (Tan and Le, 2019, as released for small devices) without its classifier, and our `detail`."""

LITE2 = InvertedResidualConfig(
    stem=32,
    stages=(
        (3, 1, 1, 16, 1),
        (3, 2, 6, 24, 3),
        (5, 2, 6, 48, 3),
        (3, 2, 6, 88, 4),
        (5, 1, 6, 120, 4),
        (5, 2, 6, 208, 5),
        (3, 1, 6, 352, 1),
    ),
    detail=32,
)
"""EfficientNet-Lite2, a tenth wider and a fifth deeper, likewise."""


@dataclass(frozen=True)
class RepViTConfig(ConvNetConfig):
    """A RepViT trunk (Wang et al., 2024), whose blocks are counted beside those that halve the map."""

    kind = "repvit"
    trunk = "RepViT"
    least_width = 2


M1 = RepViTConfig(widths=(48, 96, 192, 384), depths=(2, 2, 14, 2))
"""RepViT-M1 without its classifier."""


@dataclass(frozen=True)
class ViTConfig(Encoder):
    """A vision transformer of one stride.

    Attributes:
        width: Channels.
        heads: Attention heads.
        depth: Blocks.
        global_blocks: Blocks that attend to the whole map.
        window: Side of the other blocks' windows, in cells.
        grid: Side of the map, in cells, for which codes of places were learned; they are stretched for others.
    """

    kind = "vit"
    trunk = "ViT"
    width: int
    heads: int
    depth: int
    global_blocks: tuple[int, ...]
    window: int = 14
    grid: int = 64

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """There is a map at stride 16 only."""
        return (0, 0, self.width, 0)

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` for impossible numbers; any image size that the levels need will do."""
        for name in ("width", "heads", "depth", "window", "grid"):
            if type(value := getattr(self, name)) is not int or value < 1:
                raise ConfigError(f"{name} of the trunk is {value!r}; give a whole number of at least 1")
        check_attention(self.width, self.heads, self.global_blocks, self.depth)


@dataclass(frozen=True)
class TinyViTConfig(Encoder):
    """A TinyViT trunk (Wu et al., 2022) of MobileSAM's kind.

    Attributes:
        channels: Of the four stages, at strides 4, 8, 16 and 16.
        depths: Blocks of the four stages.
        heads: Attention heads of the stages; the first, which is of convolutions, has none to count.
        windows: Side of the attention windows of the stages, in cells; the first has none to count.
    """

    kind = "tiny_vit"
    trunk = "TinyViT"
    channels: tuple[int, int, int, int] = (64, 128, 160, 320)
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    heads: tuple[int, int, int, int] = (2, 4, 5, 10)
    windows: tuple[int, int, int, int] = (7, 7, 14, 7)

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """There is a map at stride 16 only."""
        return (0, 0, self.channels[-1], 0)

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` for impossible numbers; any image size that the levels need will do."""
        for name in ("channels", "depths", "heads", "windows"):
            check_counts(name, getattr(self, name))
        if any(width % heads for width, heads in zip(self.channels, self.heads, strict=True)):
            raise ConfigError(f"channels of the trunk are {self.channels}, no multiples of its heads {self.heads}")
