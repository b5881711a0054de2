"""The network of SAM 2: tensors in, tensors out. It knows its configuration and nothing else.

Configurations are plain data; the names that need torch are resolved on first use, so that models can be listed
without importing it.
"""

from typing import TYPE_CHECKING

from masklet.lazy import resolver
from masklet.nn.config import ModelConfig

if TYPE_CHECKING:
    from masklet.nn.encoders.configs import ConvNetConfig, HieraConfig
    from masklet.nn.network import Network
    from masklet.nn.tensors import Decoded, Levels, MemoryBank, PromptTokens
    from masklet.nn.variants import NANO, VARIANTS

__all__ = [
    "NANO",
    "VARIANTS",
    "ConvNetConfig",
    "Decoded",
    "HieraConfig",
    "Levels",
    "MemoryBank",
    "ModelConfig",
    "Network",
    "PromptTokens",
]

_LAZY = {
    "masklet.nn.encoders.configs": ("ConvNetConfig", "HieraConfig"),
    "masklet.nn.tensors": ("Decoded", "Levels", "MemoryBank", "PromptTokens"),
    "masklet.nn.variants": ("NANO", "VARIANTS"),
    "masklet.nn.network": ("Network",),
}
"""Module -> its names, resolved on first use."""

__getattr__, __dir__ = resolver(__name__, _LAZY)
