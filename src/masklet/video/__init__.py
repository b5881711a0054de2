"""Video: prompts in, masks of every frame out. It talks to an engine only."""

from masklet.video.options import TrackingOptions
from masklet.video.result import FrameResult, ObjectResult
from masklet.video.stream import DeadlineTracker, StreamTracker
from masklet.video.tracker import VideoTracker

__all__ = ["DeadlineTracker", "FrameResult", "ObjectResult", "StreamTracker", "TrackingOptions", "VideoTracker"]
