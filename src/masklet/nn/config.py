"""What a model is made of: frozen dataclasses, one table of the published variants, and `nano`.

The published system has 91 configuration keys. Over its eight models eleven differ, and four of
these are one fact: SAM 2.0 or 2.1. So a `ModelConfig` holds what differs and what someone will
want to change; what never changes is a constant beside the code that uses it.

A smaller model, another image size or a longer memory is one line:

    dataclasses.replace(VARIANTS["sam2.1-tiny"], image_size=512, memory_frames=64)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from masklet.errors import ConfigError

FINEST_STRIDE = 4
"""Pixels of the model's square per cell of the finest level, and of a low-resolution mask."""

COARSEST_STRIDE = 32
"""Pixels per cell of the trunk's last stage, which the neck folds into stride 16."""

MEMORY_STRIDE = 16
"""Pixels per cell of the features that remember, attend and decode."""


@dataclass(frozen=True)
class HieraConfig:
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
        _check_counts("depths", self.depths)
        _check_counts("windows", self.windows)
        _check_counts("width and heads", (self.width, self.heads, 1, 1))
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} of the trunk is no multiple of its {self.heads} heads")
        if outside := [block for block in self.global_blocks if not 0 <= block < sum(self.depths)]:
            raise ConfigError(f"global_blocks hold {outside}, and the trunk has blocks 0 to {sum(self.depths) - 1}")
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
class ConvNetConfig:
    """A plain residual convolutional trunk: the quicker choice on a CPU.

    Attributes:
        widths: Channels of the four stages (strides 4, 8, 16, 32).
        depths: Residual blocks of the four stages.
    """

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` for impossible widths or depths; any image size that the levels need will do."""
        _check_counts("widths", self.widths)
        _check_counts("depths", self.depths, least=0)


@dataclass(frozen=True)
class InvertedResidualConfig:
    """A trunk of inverted residuals (MobileNetV2: Sandler et al., 2018), as in EfficientNet-Lite.

    Attributes:
        stem: Channels of the first convolution, which halves the picture.
        stages: One after another, each (kernel, stride of its first block, expansion, channels, blocks). Those of
            stride 2 are four: they lead to strides 4, 8, 16 and 32.
        detail: Channels of a second way from the stem to stride 4, for edges and small things; 0 for none.
    """

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
            kernel, stride, *counts = numbers = [number if _is_int(number) else 0 for number in stage]
            if len(counts) != 3 or min(numbers) < 1 or kernel % 2 == 0 or stride > 2:
                raise ConfigError(
                    f"stage {stage} of the trunk is none; give (odd kernel, stride 1 or 2, expansion, channels, blocks)"
                )
        strides = [stage[1] for stage in self.stages]
        if strides.count(2) != 4 or strides[0] == 2:
            raise ConfigError(f"the trunk's stages have strides {strides}; give four 2s, and none at the beginning")
        if not (_is_int(self.stem) and _is_int(self.detail) and self.stem >= 1 and self.detail >= 0):
            raise ConfigError(
                f"stem and detail of the trunk are {self.stem} and {self.detail}; give numbers of channels"
            )


EncoderConfig = HieraConfig | ConvNetConfig | InvertedResidualConfig

ENCODERS: dict[str, type[EncoderConfig]] = {
    "hiera": HieraConfig,
    "convnet": ConvNetConfig,
    "inverted_residual": InvertedResidualConfig,
}
"""Image encoders by name. The module of the same name in `nn.encoders` builds each."""


@dataclass(frozen=True)
class ModelConfig:
    """One model, wholly described.

    Attributes:
        name: The variant's name, or any name of your own.
        encoder: The image encoder's trunk.
        version: "2.0", or "2.1" which marks the memory of absent objects and tells pointers their age.
        image_size: Side of the square, in pixels, to which every picture is stretched.
        width: Channels of features and tokens (d).
        memory_width: Channels of an encoded memory (d_mem). Divides `width`.
        memory_frames: Temporal slots of the memory: one for prompted frames, the others for recent ones.
        memory_pool: Memories are averaged over squares of so many cells a side to be attended; 1 as published.
        attention_layers: Layers of memory attention.
        attention_mlp: Hidden width of the feed-forward part of memory attention.
        fusion_layers: Layers that mix features and mask in the memory encoder.
        decoder_layers: Layers of the mask decoder's two-way transformer.
        decoder_mlp: Hidden width of the feed-forward part of the mask decoder.
        decoder_heads: Attention heads of the mask decoder.
        head_width: Hidden width of the head that predicts IoU.
        prompts: "tokens" as published, or "drawn": points and boxes are drawn into the mask prompt as well.
        upscaling: "plain" as published, or "refined": while masks are enlarged, convolutions look at neighbouring cells
            and at the drawn prompt, which "refined" therefore needs.
        previous_mask: Whether a followed frame is given the mask of the frame before it as a mask prompt, beside its
            memories. No published model wants it.
    """

    name: str
    encoder: EncoderConfig
    version: Literal["2.0", "2.1"] = "2.1"
    image_size: int = 1024
    width: int = 256
    memory_width: int = 64
    memory_frames: int = 7
    memory_pool: int = 1
    attention_layers: int = 4
    attention_mlp: int = 2048
    fusion_layers: int = 2
    decoder_layers: int = 2
    decoder_mlp: int = 2048
    decoder_heads: int = 8
    head_width: int = 256
    prompts: Literal["tokens", "drawn"] = "tokens"
    upscaling: Literal["plain", "refined"] = "plain"
    previous_mask: bool = False

    def __post_init__(self) -> None:
        if type(self.encoder) not in ENCODERS.values():
            known = ", ".join(config.__name__ for config in ENCODERS.values())
            raise ConfigError(f"encoder is {self.encoder!r}; give one of {known}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(field.default) is int and (type(value) is not int or value < 1):
                raise ConfigError(f"{field.name} is {value!r}; give a whole number of at least 1")
        if self.version not in ("2.0", "2.1"):
            raise ConfigError(f"version is {self.version!r}; give '2.0' or '2.1'")
        if self.prompts not in ("tokens", "drawn"):
            raise ConfigError(f"prompts is {self.prompts!r}; give 'tokens' or 'drawn'")
        if self.upscaling not in ("plain", "refined"):
            raise ConfigError(f"upscaling is {self.upscaling!r}; give 'plain' or 'refined'")
        if self.upscaling == "refined" and self.prompts != "drawn":
            raise ConfigError("upscaling 'refined' looks at drawn prompts; give prompts='drawn' too")
        if not isinstance(self.previous_mask, bool):
            raise ConfigError(f"previous_mask is {self.previous_mask!r}; give True or False")
        if self.image_size % COARSEST_STRIDE:
            raise ConfigError(
                f"image_size {self.image_size} is no multiple of {COARSEST_STRIDE}, the coarsest stride; "
                f"give {neighbours(self.image_size, COARSEST_STRIDE)}"
            )
        self.encoder.check(self.image_size)
        if self.memory_size % self.memory_pool:
            raise ConfigError(
                f"memory_pool {self.memory_pool} does not divide the {self.memory_size} cells of a side at image_size "
                f"{self.image_size}; give a divisor"
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
        """Side of the coarse features and of an encoded memory, in cells."""
        return self.image_size // MEMORY_STRIDE

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` and JSON understand; the encoder's kind stands beside its fields."""
        values = dataclasses.asdict(self)
        kinds = {config: kind for kind, config in ENCODERS.items()}
        values["encoder"] = {"kind": kinds[type(self.encoder)], **values["encoder"]}
        return values

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ModelConfig:
        """The configuration that `to_dict` wrote. Raises `ConfigError` for unknown or missing fields."""
        encoder = values.get("encoder")
        encoder = dict(encoder) if isinstance(encoder, Mapping) else {}
        kind = encoder.pop("kind", None)
        if kind not in ENCODERS:
            raise ConfigError(f"encoder kind is {kind!r}; known kinds: {', '.join(ENCODERS)}")
        try:
            built = ENCODERS[kind](**{key: _frozen(value) for key, value in encoder.items()})
            return ModelConfig(**{**values, "encoder": built})
        except TypeError as error:
            raise ConfigError(f"the configuration does not fit this version of masklet: {error}") from error


def neighbours(size: int, unit: int) -> str:
    """The multiples of a unit below and above a size, in words."""
    below = size // unit * unit
    return f"{below} or {below + unit}" if below else f"{unit}"


def _check_counts(name: str, values: Sequence[Any], least: int = 1) -> None:
    if len(values) != 4 or not all(isinstance(value, int) and value >= least for value in values):
        raise ConfigError(f"{name} of the trunk are {values}; give four whole numbers of at least {least}")


def _is_int(value: Any) -> bool:
    return type(value) is int


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


_TRUNKS = {
    "tiny": HieraConfig(width=96, heads=1, depths=(1, 2, 7, 2), global_blocks=(5, 7, 9)),
    "small": HieraConfig(width=96, heads=1, depths=(1, 2, 11, 2), global_blocks=(7, 10, 13)),
    "base-plus": HieraConfig(width=112, heads=2, depths=(2, 3, 16, 3), global_blocks=(12, 16, 20), background=14),
    "large": HieraConfig(width=144, heads=2, depths=(2, 6, 36, 4), global_blocks=(23, 33, 43), windows=(8, 4, 16, 8)),
}

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

NANO = ModelConfig(
    name="nano",
    encoder=ConvNetConfig(widths=(40, 80, 160, 256), depths=(1, 2, 4, 2)),
    image_size=256,
    width=128,
    memory_width=32,
    attention_layers=2,
    attention_mlp=256,
    decoder_mlp=512,
    decoder_heads=4,
    head_width=128,
    prompts="drawn",
    upscaling="refined",
    previous_mask=True,
)
"""The small model of our own that ships inside the package."""

_VERSIONS: dict[str, Literal["2.0", "2.1"]] = {"sam2": "2.0", "sam2.1": "2.1"}

VARIANTS: dict[str, ModelConfig] = {
    f"{family}-{size}": ModelConfig(name=f"{family}-{size}", encoder=trunk, version=version)
    for family, version in _VERSIONS.items()
    for size, trunk in _TRUNKS.items()
}
"""The eight published models (SAM 2: Ravi et al., 2024; 2.1: the release of 2024-09-29), by name."""
