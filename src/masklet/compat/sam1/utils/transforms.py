"""From pictures to the frame in which the first Segment Anything's predictor takes coordinates of tensors."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Size = tuple[int, int]
"""(height, width)"""


class ResizeLongestSide:
    """Scales pictures, points and boxes such that the longer side of the picture has a length in pixels."""

    def __init__(self, target_length: int) -> None:
        self.target_length = target_length

    @staticmethod
    def get_preprocess_shape(oldh: int, oldw: int, long_side_length: int) -> Size:
        """(height, width) of a picture whose longer side has the length."""
        scale = long_side_length / max(oldh, oldw)
        return int(oldh * scale + 0.5), int(oldw * scale + 0.5)

    def apply_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) -> the same, scaled."""
        height, width = self._scaled(image.shape[:2])
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))

    def apply_coords(self, coords: NDArray[np.floating], original_size: Size) -> NDArray[np.float64]:
        """Points (..., 2) of a picture of the size -> the same, scaled."""
        return np.asarray(coords, np.float64) * self._factors(original_size)

    def apply_boxes(self, boxes: NDArray[np.floating], original_size: Size) -> NDArray[np.float64]:
        """Boxes (N, 4) of a picture of the size -> the same, scaled."""
        return self.apply_coords(np.reshape(boxes, (-1, 2, 2)), original_size).reshape(-1, 4)

    def apply_image_torch(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> the same, scaled."""
        size = self._scaled(image.shape[-2:])
        return F.interpolate(image.float(), size, mode="bilinear", align_corners=False, antialias=True)

    def apply_coords_torch(self, coords: Tensor, original_size: Size) -> Tensor:
        """As `apply_coords`, for tensors."""
        return coords.float() * torch.tensor(self._factors(original_size), device=coords.device, dtype=torch.float32)

    def apply_boxes_torch(self, boxes: Tensor, original_size: Size) -> Tensor:
        """As `apply_boxes`, for tensors."""
        return self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def _scaled(self, size: Size | torch.Size) -> Size:
        height, width = size
        return self.get_preprocess_shape(height, width, self.target_length)

    def _factors(self, size: Size) -> list[float]:
        """By how much x and y grow."""
        height, width = self._scaled(size)
        return [width / size[1], height / size[0]]
