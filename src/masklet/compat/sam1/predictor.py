"""The predictor of the first Segment Anything."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from masklet.compat.failures import CallRefused, as_reference
from masklet.compat.sam1.utils.transforms import ResizeLongestSide
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor
from masklet.image.picture import as_picture

MEAN_COLOUR = (124, 116, 104)
"""What a picture is filled up with, as published: zeros after the mean of ImageNet is taken away."""


class SamPredictor:
    """Set a picture, then ask for masks; these come as bool.

    A model of the first Segment Anything sees the picture as it learned to, filled up to a square.

    Args:
        sam_model: What an entry of `sam_model_registry` returns.

    Attributes:
        transform: From pixels of the picture to the frame of `predict_torch`'s coordinates.
        original_size: (height, width) of the picture, None before one is set.
        input_size: The same in that frame.
    """

    def __init__(self, sam_model: SAM2Base) -> None:
        self.model = sam_model
        self._predictor = SAM2ImagePredictor(sam_model)
        self.transform = ResizeLongestSide(sam_model.image_size)
        self.original_size: tuple[int, int] | None = None
        self.input_size: tuple[int, int] | None = None
        self.is_image_set = False

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    def set_image(self, image: NDArray[np.uint8], image_format: Literal["RGB", "BGR"] = "RGB") -> None:
        """Look at a picture (H, W, 3) of uint8."""
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f"image_format is {image_format!r}; give 'RGB' or 'BGR'")
        with as_reference():
            picture = as_picture(image if image_format == "RGB" else image[..., ::-1])
        height, width = picture.shape[:2]
        self.original_size = height, width
        self.input_size = self.transform.get_preprocess_shape(height, width, self.transform.target_length)
        if self.model.engine.config.keeps_ratio:
            square = np.full((max(height, width),) * 2 + (3,), MEAN_COLOUR, np.uint8)
            square[:height, :width] = picture
            picture = square
        self._predictor.set_image(picture)
        self.is_image_set = True

    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, int]) -> None:
        """Look at a picture (1, 3, h, w) of 0..255 in the frame of `transform`, of which masks of the size of the
        original come."""
        colors = transformed_image[0].permute(1, 2, 0).round().clamp(0, 255)
        self.set_image(colors.to(torch.uint8).cpu().numpy())
        (seen,), (height, width) = self._predictor._pictures, original_image_size
        size = (max(height, width),) * 2 if self.model.engine.config.keeps_ratio else (height, width)
        self._predictor._pictures = [replace(seen, image=np.zeros((*size, 3), np.uint8))]
        self.original_size = height, width

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
        height, width = self.original_size or masks.shape[-2:]
        masks = masks[..., :height, :width]
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
        """For N prompts at once: points (N, P, 2), labels (N, P), boxes (N, 4), in the frame of `transform`.

        Returns:
            Masks (N, C, H, W), predicted IoU (N, C) and low-resolution logits (N, C, S/4, S/4), on the model's device.
        """
        points = None if point_coords is None else self._pixels(point_coords)
        corners = None if boxes is None else self._pixels(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        answer = self.predict(points, point_labels, corners, mask_input, multimask_output, return_logits)
        tensors = (torch.from_numpy(array).to(self.device) for array in answer)
        alone = answer[0].ndim == 3
        masks, scores, logits = (tensor[None] if alone else tensor for tensor in tensors)
        return masks, scores, logits

    def get_image_embedding(self) -> Tensor:
        """(1, C, S/16, S/16): the features that masks are decoded from."""
        return self._predictor.get_image_embedding()

    @property
    def features(self) -> Tensor:
        """As `get_image_embedding`."""
        return self.get_image_embedding()

    def reset_image(self) -> None:
        """Forget the picture."""
        self._predictor.reset_predictor()
        self.is_image_set = False
        self.original_size = self.input_size = None

    def _pixels(self, coords: Tensor) -> Tensor:
        """Points of the frame of `transform` in pixels of the picture."""
        if self.original_size is None or self.input_size is None:
            raise CallRefused("no picture was set; call set_image first")
        (height, width), (frame_height, frame_width) = self.original_size, self.input_size
        return coords * coords.new_tensor([width / frame_width, height / frame_height])
