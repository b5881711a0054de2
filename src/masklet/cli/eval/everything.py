"""`masklet eval everything`: masks of all that is in pictures, against the annotated objects."""

from __future__ import annotations

from masklet.cli.eval import measuring
from masklet.cli.eval.measuring import Common
from masklet.cli.everything import (
    CropLayers,
    LeastIou,
    LeastStability,
    MinRegion,
    MostOverlap,
    PointsPerBatch,
    PointsPerSide,
    Refine,
)


@measuring.spread_options
def everything(
    common: Common,
    points_per_side: PointsPerSide = 32,
    points_per_batch: PointsPerBatch = 64,
    least_iou: LeastIou = None,
    least_stability: LeastStability = None,
    most_overlap: MostOverlap = 0.7,
    min_region: MinRegion = 0,
    crop_layers: CropLayers = 0,
    refine: Refine = False,
) -> None:
    """Zero-shot masks of everything in pictures: how well they cover the annotated objects.

    Mean IoU of the best mask of each object, recall at IoUs of 50 and 75 %, COCO's average recall with 100 and 1000
    masks a picture, masks and seconds a picture. Baselines need prompts, so there are none here. Data sets
    and output are those of masklet eval image; OUT/masks holds the best masks, and a COCO JSON with all.

    \b
    Examples:
      masklet eval everything --dataset coco --root COCO --limit 100
      masklet eval everything --dataset folder --root pictures --points-per-side 16
      masklet eval everything --dataset lvis --root LVIS --model sam2.1-tiny --crop-layers 1 --most-overlap 0.9
    """
    from masklet.evaluation.protocols.images import Everything
    from masklet.image import EverythingOptions

    options = EverythingOptions(
        points_per_side=points_per_side,
        points_per_batch=points_per_batch,
        least_iou=least_iou,
        least_stability=least_stability,
        most_overlap=most_overlap,
        min_region=min_region,
        crop_layers=crop_layers,
        refine=refine,
    )
    measuring.run("image", common, lambda _: Everything(options), "everything")
