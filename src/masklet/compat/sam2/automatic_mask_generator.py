"""The reference's generator of automatic masks, on `masklet.segment_everything`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.compat.border import SettingRefused, as_reference
from masklet.compat.sam2.build_sam import build_sam2_hf
from masklet.compat.sam2.modeling import SAM2Base
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor
from masklet.compat.sam2.utils import mask_to_runs
from masklet.image import EverythingOptions, MaskSet, segment_everything

OUTPUTS: dict[str, Callable[[MaskSet, int], Any]] = {
    "binary_mask": lambda found, i: found[i],
    "uncompressed_rle": lambda found, i: mask_to_runs(found[i]),
    "coco_rle": lambda found, i: found.rle(i).to_json(),
}
"""In which form a mask comes."""


class SAM2AutomaticMaskGenerator:
    """Masks of everything in a picture, by a model of `build_sam2`.

    The arguments are the reference's, by its names and with its defaults; `EverythingOptions` says what each does. The
    first three thresholds are those of the model if not given: 0.8, 0.95 and 1, or lower ones for `nano`.
    `min_mask_region_area` fills holes and removes islands of fewer pixels on every device, as the reference documents.
    Others are passed over, as there.

    Raises:
        SettingRefused: An unknown `output_mode`, or both or none of `points_per_side` and `point_grids` (a ValueError).
        PromptError: A number out of range (a ValueError).
    """

    def __init__(
        self,
        model: SAM2Base,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float | None = None,
        stability_score_thresh: float | None = None,
        stability_score_offset: float | None = None,
        mask_threshold: float = 0.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[NDArray[np.float64]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
        use_m2m: bool = False,
        multimask_output: bool = True,
        **others: Any,
    ) -> None:
        if output_mode not in OUTPUTS:
            raise SettingRefused(f"output_mode is {output_mode!r}; give one of {', '.join(OUTPUTS)}")
        if (points_per_side is None) == (point_grids is None):
            raise SettingRefused("give either points_per_side or point_grids; the other is None")
        self.model = model
        self.output_mode = output_mode
        self.options = EverythingOptions(
            points_per_side=points_per_side or 1,
            points_per_batch=points_per_batch,
            grids=point_grids,
            least_iou=pred_iou_thresh,
            least_stability=stability_score_thresh,
            stability_offset=stability_score_offset,
            threshold=mask_threshold,
            most_overlap=box_nms_thresh,
            multimask=multimask_output,
            refine=use_m2m,
            fall_back=model.settings.dynamic_multimask_via_stability,
            min_region=min_mask_region_area,
            crop_layers=crop_n_layers,
            crop_overlap=crop_overlap_ratio,
            crop_most_overlap=crop_nms_thresh,
            crop_points_divisor=crop_n_points_downscale_factor,
        )

    @property
    def predictor(self) -> SAM2ImagePredictor:
        """A predictor of the same model."""
        return SAM2ImagePredictor(self.model)

    @classmethod
    def from_pretrained(cls, model_id: str, **arguments: Any) -> "SAM2AutomaticMaskGenerator":
        """A generator with a model from the hub. Takes the arguments of `build_sam2`, and those of the class."""
        return cls(build_sam2_hf(model_id, **arguments), **arguments)

    def generate(self, image: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """Masks of everything in a picture, uint8 (H, W, 3), the surest first.

        Returns:
            For each mask `segmentation` in the form of `output_mode`, `area` in pixels, `bbox` (x, y, and width and
            height less one, floats), `predicted_iou`, `point_coords` (the click, in a list), `stability_score`, and
            `crop_box` (x, y, width, height).
        """
        with as_reference():
            found = segment_everything(image, self.model.engine, self.options)
        return [self._annotation(found, i) for i in range(len(found))]

    def _annotation(self, found: MaskSet, i: int) -> dict[str, Any]:
        x0, y0, x1, y1 = map(float, found.boxes[i])
        left, top, right, bottom = found.crops[i].tolist()
        return {
            "segmentation": OUTPUTS[self.output_mode](found, i),
            "area": int(found.areas[i]),
            "bbox": [x0, y0, x1 - 1 - x0, y1 - 1 - y0],
            "predicted_iou": float(found.iou[i]),
            "point_coords": [found.points[i].tolist()],
            "stability_score": float(found.stability[i]),
            "crop_box": [left, top, right - left, bottom - top],
        }
