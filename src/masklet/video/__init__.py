"""Video: prompts in, masks of every frame out. It talks to an engine only."""

from masklet.video.result import FrameResult, ObjectResult
from masklet.video.tracker import TrackingOptions, VideoTracker

__all__ = ["FrameResult", "ObjectResult", "TrackingOptions", "VideoTracker"]
