"""The configuration of a model. Imports no torch.

The published system has 91 configuration keys. Over its eight models eleven differ, and four of
these are one fact: SAM 2.0 or 2.1. So a `ModelConfig` holds what differs and what someone will
want to change; what never changes is a constant beside the code that uses it.

A smaller model, another image size or a longer memory is one line:

    dataclasses.replace(VARIANTS["sam2.1-tiny"], image_size=512, memory_frames=64)
"""

from __future__ import annotations

import dataclasses
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

MEMORY_STRIDE = 16
"""Pixels per cell of the features that remember, attend and decode."""

ENCODERS = {
    "hiera": "masklet.nn.encoders.configs:HieraConfig",
    "convnet": "masklet.nn.encoders.configs:ConvNetConfig",
    "inverted_residual": "masklet.nn.encoders.configs:InvertedResidualConfig",
    "repvit": "masklet.nn.encoders.configs:RepViTConfig",
    "vit": "masklet.nn.encoders.configs:ViTConfig",
    "tiny_vit": "masklet.nn.encoders.configs:TinyViTConfig",
}
"""Kind of image encoder -> its configuration. Installed packages add theirs by entry points, see `masklet.plugins`."""

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
            known = ", ".join(target.rpartition(":")[2] for target in ENCODERS.values())
            raise ConfigError(f"encoder is {encoder!r}; give one of {known}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(field.default) is int and (type(value) is not int or value < 1):
                raise ConfigError(f"{field.name} is {value!r}; give a whole number of at least 1")
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
        """Whether the network learned from pictures of which no side was stretched, filled up to the square at the
        right and lower edges."""
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


def check_counts(name: str, values: Sequence[Any], least: int = 1) -> None:
    """Raise `ConfigError` unless a trunk's values are four whole numbers."""
    if len(values) != 4 or not all(isinstance(value, int) and value >= least for value in values):
        raise ConfigError(f"{name} of the trunk are {values}; give four whole numbers of at least {least}")


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
