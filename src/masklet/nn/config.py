"""The configuration of a model and of its image encoder, and those of the models that have a name. Imports no torch, so
that models are listed, and exported ones run, without it.

The published system has 91 configuration keys. Over its eight models eleven differ, and four of
these are one fact: SAM 2.0 or 2.1. So a `ModelConfig` holds what differs and what someone will
want to change; what never changes is a constant beside the code that uses it.

A smaller model, another image size or a longer memory is one line:

    dataclasses.replace(VARIANTS["sam2.1-tiny"], image_size=512, memory_frames=64)
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from masklet import plugins
from masklet.errors import ConfigError

if TYPE_CHECKING:
    from masklet.nn.layers import Trunk

FINEST_STRIDE = 4
"""Pixels of the model's square per cell of the finest level, and of a low-resolution mask."""

COARSEST_STRIDE = 32
"""Pixels per cell of the trunk's last stage, which the neck folds into stride 16."""

MAX_IMAGE_SIZE = 16_384
"""A side beyond which tables of positions alone take gigabytes: a slip, or a damaged file."""

MEMORY_STRIDE = 16
"""Pixels per cell of the features that remember, attend and decode."""

CHOICES = {"version": ("2.0", "2.1", "1"), "head": ("published", "refining"), "motion": ("still", "flow")}
"""What fields of texts can be."""


class EncoderConfig(Protocol):
    """The configuration of an image encoder: a frozen dataclass of numbers, texts and tuples of these."""

    kind: ClassVar[str]
    """Its name in `ENCODERS`, or that of its entry point."""

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of the maps at strides 4, 8, 16 and 32."""

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` if no trunk of this shape can be built for the image size."""

    def build(self, image_size: int) -> Trunk:
        """The trunk, with random weights."""


class Encoder:
    """A configuration whose trunk is the class `trunk`, `module:Name`, made of it and an image size."""

    kind: ClassVar[str]
    trunk: ClassVar[str]

    def build(self, image_size: int) -> Trunk:
        """The trunk, with random weights."""
        module, _, name = self.trunk.partition(":")
        trunk: Any = getattr(importlib.import_module(module), name)  # it imports torch
        return trunk(self, image_size)


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
    trunk = "masklet.nn.encoders.attention:Hiera"
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
    trunk = "masklet.nn.encoders.convolutions:ConvNet"
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
    trunk = "masklet.nn.encoders.convolutions:InvertedResidualTrunk"
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


def _lite(*sizes: tuple[int, int]) -> InvertedResidualConfig:
    """An EfficientNet-Lite (Tan and Le, 2019, as released for small devices) without its classifier, and our `detail`;
    its models differ in the channels and the blocks of stages."""
    kinds = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
    return InvertedResidualConfig(32, tuple((*kind, *size) for kind, size in zip(kinds, sizes, strict=True)), detail=32)


LITE0 = _lite((16, 1), (24, 2), (40, 2), (80, 3), (112, 3), (192, 4), (320, 1))
LITE2 = _lite((16, 1), (24, 3), (48, 3), (88, 4), (120, 4), (208, 5), (352, 1))
"""A tenth wider than EfficientNet-Lite0 and a fifth deeper."""


@dataclass(frozen=True)
class RepViTConfig(ConvNetConfig):
    """A RepViT trunk (Wang et al., 2024), whose blocks are counted beside those that halve the map."""

    kind = "repvit"
    trunk = "masklet.nn.encoders.convolutions:RepViT"
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
    trunk = "masklet.nn.encoders.attention:ViT"
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
            check_count(f"{name} of the trunk", getattr(self, name))
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
    trunk = "masklet.nn.encoders.attention:TinyViT"
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


ENCODERS: dict[str, Any] = {
    encoder.kind: encoder
    for encoder in (HieraConfig, ConvNetConfig, InvertedResidualConfig, RepViTConfig, ViTConfig, TinyViTConfig)
}
"""Kind of image encoder -> its configuration. Installed packages add theirs by entry points, see `masklet.plugins`."""


@dataclass(frozen=True)
class ModelConfig:
    """One model, wholly described.

    Attributes:
        name: The variant's name, or any name of your own.
        encoder: The image encoder's trunk.
        version: "2.0", or "2.1", which marks the memory of absent objects and encodes the age of pointers; or "1", the
            first Segment Anything, which has no memory: its frames are followed by the mask of the frame before.
        image_size: Side of the square, in pixels, to which every picture is stretched, or scaled where the network
            learned so; see `placed`.
        width: Channels of features and tokens (d).
        memory_width: Channels of an encoded memory (d_mem). Divides `width`.
        memory_frames: Temporal slots of the memory: one for prompted frames, the others for recent ones.
        memory_grid: Side of the square of latents to which each memory is condensed, beside as many latents without a
            place, as in EdgeTAM; divides the side of the coarse features. None keeps memories whole.
        attention_layers: Layers of memory attention.
        attention_mlp: Hidden width of the feed-forward part of memory attention.
        fusion_layers: Layers that mix features and mask in the memory encoder.
        decoder_layers: Layers of the mask decoder's two-way transformer.
        decoder_mlp: Hidden width of the feed-forward part of the mask decoder.
        decoder_heads: Attention heads of the mask decoder.
        head_width: Hidden width of the head that predicts IoU.
        head: "published", or "refining" as in `nano`: prompts are also drawn as maps; while masks are enlarged,
            convolutions look at neighbouring cells and at these maps; and a followed frame is given the mask of the
            frame before it as a mask prompt, beside its memories.
        motion: How a refining head, or version "1", gets that mask: "still", where it was, or "flow", carried along
            optical flow to where the object is now.
    """

    name: str
    encoder: EncoderConfig
    version: Literal["1", "2.0", "2.1"] = "2.1"
    image_size: int = 1024
    width: int = 256
    memory_width: int = 64
    memory_frames: int = 7
    memory_grid: int | None = None
    attention_layers: int = 4
    attention_mlp: int = 2048
    fusion_layers: int = 2
    decoder_layers: int = 2
    decoder_mlp: int = 2048
    decoder_heads: int = 8
    head_width: int = 256
    head: Literal["published", "refining"] = "published"
    motion: Literal["still", "flow"] = "still"

    def __post_init__(self) -> None:
        encoder: Any = self.encoder
        if not (is_dataclass(encoder) and not isinstance(encoder, type) and hasattr(encoder, "build")):
            known = ", ".join(config.__name__ for config in ENCODERS.values())
            raise ConfigError(f"encoder is {encoder!r}; give one of {known}")
        for field in dataclasses.fields(self):
            if type(field.default) is int:
                check_count(field.name, getattr(self, field.name))
        for name, allowed in CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                raise ConfigError(f"{name} is {value!r}; give {' or '.join(map(repr, allowed))}")
        if (self.version == "1") != (0 in self.encoder.widths):
            raise ConfigError(
                f"version {self.version!r} does not go with an encoder of kind {self.encoder.kind!r}: version '1' "
                "needs one with a map at stride 16 only, others need one with four maps"
            )
        if self.motion == "flow" and not self.previous_mask:
            raise ConfigError("motion 'flow' carries the mask of the frame before; give head='refining' too")
        if self.image_size % COARSEST_STRIDE:
            raise ConfigError(
                f"image_size {self.image_size} is no multiple of {COARSEST_STRIDE}, the coarsest stride; "
                f"give {neighbours(self.image_size, COARSEST_STRIDE)}"
            )
        if self.image_size > MAX_IMAGE_SIZE:
            raise ConfigError(f"image_size is {self.image_size}; give {MAX_IMAGE_SIZE} at most")
        self.encoder.check(self.image_size)
        grid = self.memory_grid
        if grid is not None and (type(grid) is not int or grid < 1 or self.memory_size % grid):
            raise ConfigError(
                f"memory_grid is {grid!r}; give a divisor of {self.memory_size}, the side of the coarse features, or "
                "None for whole memories"
            )
        if self.width % self.memory_width:
            raise ConfigError(
                f"memory_width {self.memory_width} does not divide width {self.width}; a pointer of `width` numbers "
                "is cut into memory tokens of `memory_width`, so give a divisor"
            )
        if self.width % (2 * self.decoder_heads) or self.width % 8:
            raise ConfigError(
                f"width {self.width} must be a multiple of 8 and of twice decoder_heads ({self.decoder_heads})"
            )

    @property
    def mask_size(self) -> int:
        """Side of a low-resolution mask, in cells."""
        return self.image_size // FINEST_STRIDE

    @property
    def memory_size(self) -> int:
        """Side of the coarse features, in cells."""
        return self.image_size // MEMORY_STRIDE

    @property
    def memory_shape(self) -> tuple[int, int, int]:
        """The shape of an encoded memory: channels, and cells of the coarse features. Where it is condensed, the upper
        half of the cells are the latents without a place, and the lower half are the square."""
        if self.version == "1":
            return self.memory_width, 1, 1
        if self.memory_grid is None:
            return self.memory_width, self.memory_size, self.memory_size
        return self.memory_width, 2 * self.memory_grid, self.memory_grid

    @property
    def keeps_ratio(self) -> bool:
        """Whether pictures are not stretched, as the network learned, but filled up at the right and lower edges."""
        return self.version == "1"

    def placed(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) that a picture of a size takes of the square, from its upper left corner on; all of it where
        pictures are stretched. What is left is zeros, after normalisation."""
        if not self.keeps_ratio:
            return self.image_size, self.image_size
        height, width = (max(1, int(side * self.image_size / max(size) + 0.5)) for side in size)
        return height, width

    @property
    def previous_mask(self) -> bool:
        """Whether a followed frame is given the mask of the frame before it."""
        return self.head == "refining" or self.version == "1"

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` and JSON understand; the encoder's kind stands beside its fields."""
        values = dataclasses.asdict(self)
        values["encoder"] = {"kind": self.encoder.kind, **values["encoder"]}
        return values

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ModelConfig:
        """The configuration that `to_dict` wrote. Raises `ConfigError` for unknown or missing fields."""
        encoder = values.get("encoder")
        encoder = dict(encoder) if isinstance(encoder, Mapping) else {}
        kind = encoder.pop("kind", None)
        if kind not in (known := [*ENCODERS]) and kind not in (known := plugins.names("encoders", ENCODERS)):
            raise ConfigError(f"encoder kind is {kind!r}; known kinds: {', '.join(known)}")  # a file names no modules
        build: Callable[..., EncoderConfig] = plugins.find("encoders", kind, ENCODERS)
        try:
            built = build(**{key: _frozen(value) for key, value in encoder.items()})
            return ModelConfig(**{**values, "encoder": built})
        except TypeError as error:
            raise ConfigError(f"the configuration does not fit this version of masklet: {error}") from error


def neighbours(size: int, unit: int) -> str:
    """The multiples of a unit below and above a size, in words."""
    below = size // unit * unit
    return f"{below} or {below + unit}" if below else f"{unit}"


def check_count(name: str, value: object) -> None:
    """Raise `ConfigError` unless a value is a whole number of at least 1."""
    if type(value) is not int or value < 1:
        raise ConfigError(f"{name} is {value!r}; give a whole number of at least 1")


def check_counts(name: str, values: Sequence[Any], least: int = 1) -> None:
    """Raise `ConfigError` unless a trunk's values are four whole numbers."""
    if len(values) != 4 or not all(isinstance(value, int) and value >= least for value in values):
        raise ConfigError(f"{name} of the trunk are {values}; give four whole numbers of at least {least}")


def check_attention(width: int, heads: int, global_blocks: Sequence[int], blocks: int) -> None:
    """Raise `ConfigError` for a width that heads do not divide, and for global blocks that there are not."""
    if width % heads:
        raise ConfigError(f"width {width} of the trunk is no multiple of its {heads} heads")
    if outside := [block for block in global_blocks if not 0 <= block < blocks]:
        raise ConfigError(f"global_blocks hold {outside}, and the trunk has blocks 0 to {blocks - 1}")


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


_TRUNKS = {
    "tiny": HieraConfig(width=96, heads=1, depths=(1, 2, 7, 2), global_blocks=(5, 7, 9)),
    "small": HieraConfig(width=96, heads=1, depths=(1, 2, 11, 2), global_blocks=(7, 10, 13)),
    "base-plus": HieraConfig(width=112, heads=2, depths=(2, 3, 16, 3), global_blocks=(12, 16, 20), background=14),
    "large": HieraConfig(width=144, heads=2, depths=(2, 6, 36, 4), global_blocks=(23, 33, 43), windows=(8, 4, 16, 8)),
}

NANO = ModelConfig(
    name="nano",
    encoder=LITE2,
    image_size=320,
    width=128,
    memory_width=32,
    attention_layers=2,
    attention_mlp=256,
    decoder_mlp=512,
    decoder_heads=4,
    head_width=128,
    head="refining",
    motion="flow",
)
"""The small model of our own that ships inside the package."""

_FIRST: dict[str, EncoderConfig] = {
    "sam1-vit-b": ViTConfig(width=768, heads=12, depth=12, global_blocks=(2, 5, 8, 11)),
    "sam1-vit-l": ViTConfig(width=1024, heads=16, depth=24, global_blocks=(5, 11, 17, 23)),
    "sam1-vit-h": ViTConfig(width=1280, heads=16, depth=32, global_blocks=(7, 15, 23, 31)),
    "mobile-sam": TinyViTConfig(),
}

VARIANTS: dict[str, ModelConfig] = {
    config.name: config
    for config in (
        *(ModelConfig(f"sam2-{size}", trunk, version="2.0") for size, trunk in _TRUNKS.items()),
        *(ModelConfig(f"sam2.1-{size}", trunk) for size, trunk in _TRUNKS.items()),
        ModelConfig("edgetam", M1, version="2.0", attention_layers=2, memory_grid=16),
        *(ModelConfig(name, trunk, version="1", motion="flow") for name, trunk in _FIRST.items()),
    )
}
"""The published models by name: SAM 2 (Ravi et al., 2024), 2.1 (2024-09-29), EdgeTAM (Zhou et al., 2025), the first
Segment Anything (Kirillov et al., 2023) and MobileSAM (Zhang et al., 2023)."""
