"""Images: points, boxes and earlier answers in, masks out. It talks to an engine only."""

from masklet.image.everything import EverythingOptions, segment_everything
from masklet.image.like import segment_like
from masklet.image.names import Prototypes, learn_names, name_masks
from masklet.image.picture import Naming
from masklet.image.predictor import EncodedImage, ImagePredictor, segment
from masklet.image.result import Masks, MaskSet
from masklet.image.tiles import TileOptions, segment_near, segment_tiles

__all__ = [
    "EncodedImage",
    "EverythingOptions",
    "ImagePredictor",
    "MaskSet",
    "Masks",
    "Naming",
    "Prototypes",
    "TileOptions",
    "learn_names",
    "name_masks",
    "segment",
    "segment_everything",
    "segment_like",
    "segment_near",
    "segment_tiles",
]
