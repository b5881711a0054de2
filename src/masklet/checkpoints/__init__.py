"""Names to weights: which models there are, reading and writing their files, building new ones.

Listing, and loading what `masklet export` wrote, need no torch; names are resolved on first use.
"""

from typing import TYPE_CHECKING

from masklet.checkpoints.registry import ModelInfo, list_models
from masklet.plugins import resolver

if TYPE_CHECKING:
    from masklet.checkpoints.load import build_model, save_model
    from masklet.checkpoints.models import load_engine, load_model
    from masklet.engines.torch import Model

__all__ = ["Model", "ModelInfo", "build_model", "list_models", "load_engine", "load_model", "save_model"]

_LAZY = {
    "masklet.engines.torch": ("Model",),
    "masklet.checkpoints.load": ("build_model", "save_model"),
    "masklet.checkpoints.models": ("load_engine", "load_model"),
}
"""Module -> its names, resolved on first use."""

__getattr__, __dir__ = resolver(__name__, _LAZY)
