"""Point at a thing in an image or a video and get its mask, in every frame.

The public names are resolved on first use, so that `import masklet` is quick: it imports no torch,
no NumPy and no OpenCV.
"""

from typing import TYPE_CHECKING

from masklet.plugins import resolver

__version__ = "0.1.0"

_LAZY = {
    "masklet.errors": (
        "CheckpointError",
        "ConfigError",
        "EngineError",
        "EvaluationError",
        "FormatError",
        "MaskletError",
        "MediaError",
        "PromptError",
        "SessionError",
        "TrainingError",
    ),
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

if TYPE_CHECKING:
    from masklet.checkpoints import build_model as build_model
    from masklet.checkpoints import list_models as list_models
    from masklet.checkpoints import load_model as load_model
    from masklet.checkpoints import save_model as save_model
    from masklet.discovery import DiscoveryOptions as DiscoveryOptions
    from masklet.discovery import track_everything as track_everything
    from masklet.engines.torch import Model as Model
    from masklet.errors import CheckpointError as CheckpointError
    from masklet.errors import ConfigError as ConfigError
    from masklet.errors import EngineError as EngineError
    from masklet.errors import EvaluationError as EvaluationError
    from masklet.errors import FormatError as FormatError
    from masklet.errors import MaskletError as MaskletError
    from masklet.errors import MediaError as MediaError
    from masklet.errors import PromptError as PromptError
    from masklet.errors import SessionError as SessionError
    from masklet.errors import TrainingError as TrainingError
    from masklet.image import EverythingOptions as EverythingOptions
    from masklet.image import ImagePredictor as ImagePredictor
    from masklet.image import Masks as Masks
    from masklet.image import MaskSet as MaskSet
    from masklet.image import TileOptions as TileOptions
    from masklet.image import learn_names as learn_names
    from masklet.image import name_masks as name_masks
    from masklet.image import segment as segment
    from masklet.image import segment_everything as segment_everything
    from masklet.image import segment_like as segment_like
    from masklet.image import segment_near as segment_near
    from masklet.image import segment_tiles as segment_tiles
    from masklet.jobs.many import track_videos as track_videos
    from masklet.masks.finish import SoftEdges as SoftEdges
    from masklet.media.large import LargePicture as LargePicture
    from masklet.video import DeadlineTracker as DeadlineTracker
    from masklet.video import FrameResult as FrameResult
    from masklet.video import ObjectResult as ObjectResult
    from masklet.video import StreamTracker as StreamTracker
    from masklet.video import TrackingOptions as TrackingOptions
    from masklet.video import VideoTracker as VideoTracker
else:
    __all__ = ["__version__", *(name for names in _LAZY.values() for name in names)]
    __getattr__, __dir__ = resolver(__name__, _LAZY)
