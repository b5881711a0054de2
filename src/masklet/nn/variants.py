"""The models that have a name: the published ones and `nano`."""

from typing import Literal

from masklet.nn.config import EncoderConfig, ModelConfig
from masklet.nn.encoders.configs import LITE2, M1, HieraConfig, TinyViTConfig, ViTConfig

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

_VERSIONS: dict[str, Literal["2.0", "2.1"]] = {"sam2": "2.0", "sam2.1": "2.1"}

_EDGETAM = ModelConfig(name="edgetam", encoder=M1, version="2.0", attention_layers=2, memory_grid=16)

_FIRST: dict[str, EncoderConfig] = {
    "sam1-vit-b": ViTConfig(width=768, heads=12, depth=12, global_blocks=(2, 5, 8, 11)),
    "sam1-vit-l": ViTConfig(width=1024, heads=16, depth=24, global_blocks=(5, 11, 17, 23)),
    "sam1-vit-h": ViTConfig(width=1280, heads=16, depth=32, global_blocks=(7, 15, 23, 31)),
    "mobile-sam": TinyViTConfig(),
}

VARIANTS: dict[str, ModelConfig] = {
    f"{family}-{size}": ModelConfig(name=f"{family}-{size}", encoder=trunk, version=version)
    for family, version in _VERSIONS.items()
    for size, trunk in _TRUNKS.items()
}
VARIANTS[_EDGETAM.name] = _EDGETAM
VARIANTS |= {name: ModelConfig(name, trunk, version="1", motion="flow") for name, trunk in _FIRST.items()}
"""The published models by name: SAM 2 (Ravi et al., 2024), 2.1 (2024-09-29), EdgeTAM (Zhou et al., 2025), the first
Segment Anything (Kirillov et al., 2023) and MobileSAM (Zhang et al., 2023)."""
