"""Names to weights: which models there are, reading and writing their files, building new ones.

Listing needs no torch; the other names are resolved on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masklet.checkpoints.registry import ModelInfo, list_models
from masklet.lazy import resolver

if TYPE_CHECKING:
    from masklet.checkpoints.build import build_model
    from masklet.checkpoints.load import load_model
    from masklet.checkpoints.model import Model
    from masklet.checkpoints.save import save_model

__all__ = ["Model", "ModelInfo", "build_model", "list_models", "load_model", "save_model"]

_LAZY = {
    "Model": "masklet.checkpoints.model",
    "build_model": "masklet.checkpoints.build",
    "load_model": "masklet.checkpoints.load",
    "save_model": "masklet.checkpoints.save",
}
"""Name -> the module that has it."""

__getattr__, __dir__ = resolver(__name__, _LAZY)
