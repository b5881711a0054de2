"""Point at a thing in an image or a video and get its mask, in every frame.

The public names are resolved on first use, so that `import masklet` is quick: it imports no torch,
no NumPy and no OpenCV.
"""

from typing import TYPE_CHECKING

from masklet.errors import (
    CheckpointError,
    ConfigError,
    EngineError,
    EvaluationError,
    FormatError,
    MaskletError,
    MediaError,
    PromptError,
    SessionError,
    TrainingError,
)
from masklet.plugins import resolver

if TYPE_CHECKING:
    from masklet.checkpoints import build_model, list_models, load_model, save_model
    from masklet.discovery import DiscoveryOptions, track_everything
    from masklet.engines.torch import Model
    from masklet.image import (
        EverythingOptions,
        ImagePredictor,
        Masks,
        MaskSet,
        TileOptions,
        learn_names,
        name_masks,
        segment,
        segment_everything,
        segment_like,
        segment_near,
        segment_tiles,
    )
    from masklet.jobs.many import track_videos
    from masklet.masks.finish import SoftEdges
    from masklet.media.large import LargePicture
    from masklet.video import DeadlineTracker, FrameResult, ObjectResult, StreamTracker, TrackingOptions, VideoTracker

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DeadlineTracker",
    "DiscoveryOptions",
    "EngineError",
    "EvaluationError",
    "EverythingOptions",
    "FormatError",
    "FrameResult",
    "ImagePredictor",
    "LargePicture",
    "MaskSet",
    "MaskletError",
    "Masks",
    "MediaError",
    "Model",
    "ObjectResult",
    "PromptError",
    "SessionError",
    "SoftEdges",
    "StreamTracker",
    "TileOptions",
    "TrackingOptions",
    "TrainingError",
    "VideoTracker",
    "__version__",
    "build_model",
    "learn_names",
    "list_models",
    "load_model",
    "name_masks",
    "save_model",
    "segment",
    "segment_everything",
    "segment_like",
    "segment_near",
    "segment_tiles",
    "track_everything",
    "track_videos",
]

_LAZY = {
    "masklet.discovery": ("DiscoveryOptions", "track_everything"),
    "masklet.image": (
        "EverythingOptions",
        "ImagePredictor",
        "MaskSet",
        "Masks",
        "TileOptions",
        "learn_names",
        "name_masks",
        "segment",
        "segment_everything",
        "segment_like",
        "segment_near",
        "segment_tiles",
    ),
    "masklet.jobs.many": ("track_videos",),
    "masklet.media.large": ("LargePicture",),
    "masklet.engines.torch": ("Model",),
    "masklet.masks.finish": ("SoftEdges",),
    "masklet.video": (
        "DeadlineTracker",
        "FrameResult",
        "ObjectResult",
        "StreamTracker",
        "TrackingOptions",
        "VideoTracker",
    ),
    "masklet.checkpoints": ("build_model", "list_models", "load_model", "save_model"),
}
"""Module -> its names, resolved on first use."""

__getattr__, __dir__ = resolver(__name__, _LAZY)
