"""Images: points, boxes and earlier answers in, masks out. It talks to an engine only."""

from masklet.image.everything import segment_everything
from masklet.image.everything_options import EverythingOptions
from masklet.image.large_masks import LargeMasks
from masklet.image.like import segment_like
from masklet.image.one_liner import segment
from masklet.image.predictor import EncodedImage, ImagePredictor
from masklet.image.result import Masks
from masklet.image.tiles import TileOptions, segment_near, segment_tiles

__all__ = [
    "EncodedImage",
    "EverythingOptions",
    "ImagePredictor",
    "LargeMasks",
    "Masks",
    "TileOptions",
    "segment",
    "segment_everything",
    "segment_like",
    "segment_near",
    "segment_tiles",
]
