"""Point at a thing in an image or a video and get its mask, in every frame.

The public names are resolved on first use, so that `import masklet` is quick: it imports no torch,
no NumPy and no OpenCV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from masklet.errors import (
    CheckpointError,
    ConfigError,
    EngineError,
    FormatError,
    MaskletError,
    MediaError,
    PromptError,
    SessionError,
)

if TYPE_CHECKING:
    from masklet.checkpoints import build_model, list_models, load_model, save_model
    from masklet.video import StreamTracker, TrackingOptions, VideoTracker

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "ConfigError",
    "EngineError",
    "FormatError",
    "MaskletError",
    "MediaError",
    "PromptError",
    "SessionError",
    "StreamTracker",
    "TrackingOptions",
    "VideoTracker",
    "__version__",
    "build_model",
    "list_models",
    "load_model",
    "save_model",
]

_LAZY = {
    "StreamTracker": "masklet.video",
    "TrackingOptions": "masklet.video",
    "VideoTracker": "masklet.video",
    "build_model": "masklet.checkpoints",
    "list_models": "masklet.checkpoints",
    "load_model": "masklet.checkpoints",
    "save_model": "masklet.checkpoints",
}
"""Public name -> the module that has it."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'masklet' has no attribute {name!r}", name=name)
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
