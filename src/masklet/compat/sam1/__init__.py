"""The names of the first Segment Anything (`segment_anything`), with its models or those of SAM 2 behind."""

from masklet.compat.sam1.automatic_mask_generator import SamAutomaticMaskGenerator
from masklet.compat.sam1.build_sam import (
    build_sam,
    build_sam_vit_b,
    build_sam_vit_h,
    build_sam_vit_l,
    sam_model_registry,
)
from masklet.compat.sam1.predictor import SamPredictor

__all__ = [
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "build_sam",
    "build_sam_vit_b",
    "build_sam_vit_h",
    "build_sam_vit_l",
    "sam_model_registry",
]
