"""`masklet eval everything`: masks of all that is in pictures, against the annotated objects."""

from __future__ import annotations

from masklet.cli.choices import spread_options
from masklet.cli.eval import measuring
from masklet.cli.eval.measuring import Common
from masklet.cli.everything import EverythingChoice


@spread_options
def everything(
    common: Common,
    choice: EverythingChoice,
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

    options = EverythingOptions(**vars(choice))
    measuring.run("image", common, lambda _: Everything(options), "everything")
