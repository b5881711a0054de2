"""Names to weights: which models there are, reading and writing their files, building new ones.

Listing needs no torch; the other names are resolved on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from masklet.checkpoints.registry import ModelInfo, list_models

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


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'masklet.checkpoints' has no attribute {name!r}", name=name)
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
