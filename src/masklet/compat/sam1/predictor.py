"""The predictor of the first Segment Anything."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor


class SamPredictor:
    """Set a picture, then ask for masks; these come as bool.

    Args:
        sam_model: What an entry of `sam_model_registry` returns.
    """

    def __init__(self, sam_model: SAM2Base) -> None:
        self.model = sam_model
        self._predictor = SAM2ImagePredictor(sam_model)
        self.is_image_set = False

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    def set_image(self, image: NDArray[np.uint8], image_format: Literal["RGB", "BGR"] = "RGB") -> None:
        """Look at a picture (H, W, 3) of uint8."""
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f"image_format is {image_format!r}; give 'RGB' or 'BGR'")
        self._predictor.set_image(image if image_format == "RGB" else image[..., ::-1])
        self.is_image_set = True

    def predict(
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """As `SAM2ImagePredictor.predict`, but masks are bool (C, H, W)."""
        masks, scores, logits = self._predictor.predict(
            point_coords, point_labels, box, mask_input, multimask_output, return_logits
        )
        return (masks if return_logits else masks > 0), scores, logits

    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """For N prompts at once: points (N, P, 2), labels (N, P), boxes (N, 4), in pixels of the picture.

        Returns:
            Masks (N, C, H, W), predicted IoU (N, C) and low-resolution logits (N, C, S/4, S/4), on the model's device.
        """
        answer = self.predict(point_coords, point_labels, boxes, mask_input, multimask_output, return_logits)
        tensors = (torch.from_numpy(array).to(self.device) for array in answer)
        alone = answer[0].ndim == 3
        masks, scores, logits = (tensor[None] if alone else tensor for tensor in tensors)
        return masks, scores, logits

    def get_image_embedding(self) -> Tensor:
        """(1, C, S/16, S/16): the features that masks are decoded from."""
        return self._predictor.get_image_embedding()

    def reset_image(self) -> None:
        """Forget the picture."""
        self._predictor.reset_predictor()
        self.is_image_set = False
