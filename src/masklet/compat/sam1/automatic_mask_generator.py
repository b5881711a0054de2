"""The first Segment Anything's generator of automatic masks."""

from typing import Any

from masklet.compat.sam1.modeling import Sam
from masklet.compat.sam1.predictor import SamPredictor
from masklet.compat.sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from masklet.image.grid import MODEL_THRESHOLDS


class SamAutomaticMaskGenerator(SAM2AutomaticMaskGenerator):
    """Masks of everything in a picture. Arguments as those of `SAM2AutomaticMaskGenerator`; the default of
    `pred_iou_thresh` is 0.88, as it was, but for models that have thresholds of their own."""

    model: Sam

    def __init__(self, model: Sam, *arguments: Any, **named: Any) -> None:
        if len(arguments) < 3 and model.engine.config.name.partition(":")[0] not in MODEL_THRESHOLDS:
            named = {"pred_iou_thresh": 0.88, **named}
        super().__init__(model, *arguments, **named)

    @property
    def predictor(self) -> SamPredictor:
        """A predictor of the same model."""
        return SamPredictor(self.model)
