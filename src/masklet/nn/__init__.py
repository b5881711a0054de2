"""The network of SAM 2: tensors in, tensors out. It knows its configuration and nothing else.

All but the network itself needs no torch; it is imported on first use, so that models can be listed without.
"""

from typing import TYPE_CHECKING

from masklet.nn.config import NANO, VARIANTS, ConvNetConfig, HieraConfig, ModelConfig
from masklet.nn.tensors import Decoded, Levels, MemoryBank, PromptTokens
from masklet.plugins import resolver

if TYPE_CHECKING:
    from masklet.nn.network import Network

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

_LAZY = {"masklet.nn.network": ("Network",)}

__getattr__, __dir__ = resolver(__name__, _LAZY)
