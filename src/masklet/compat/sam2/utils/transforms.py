"""The reference's picture of the way between pictures and the network's square."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from masklet.engines.arrays import resize
from masklet.engines.rules import normalise
from masklet.image.picture import as_picture

Size = tuple[int, int]
"""(height, width)"""


class SAM2Transforms:
    """Pictures to the network's input, coordinates to its square of side S = `resolution`, masks back. `placed` is
    `ModelConfig.placed` of a model that does not stretch pictures; other arguments are passed over."""

    def __init__(
        self, resolution: int, mask_threshold: float = 0.0, *others: Any, placed: Callable[[Size], Size] | None = None
    ) -> None:
        self.resolution = resolution
        self.mask_threshold = mask_threshold
        self._placed = placed or (lambda size: (resolution, resolution))

    def __call__(self, x: Any) -> Tensor:
        """(3, S, S), normalised: of a picture by Pillow or an array (H, W, 3)."""
        colors = torch.from_numpy(as_picture(x).copy()).permute(2, 0, 1)[None].float() / 255
        height, width = self._placed((colors.shape[2], colors.shape[3]))
        seen = normalise(resize(colors, (height, width), antialias=True))[0]
        return F.pad(seen, (0, self.resolution - width, 0, self.resolution - height))

    def forward_batch(self, img_list: Sequence[Any]) -> Tensor:
        """(B, 3, S, S)"""
        return torch.stack([self(image) for image in img_list])

    def transform_coords(self, coords: Tensor, normalize: bool = False, orig_hw: Size | None = None) -> Tensor:
        """(..., 2), x and y, to the square: of shares of width and height, or with `normalize` of pixels."""
        if normalize:
            if orig_hw is None:
                raise ValueError("coordinates in pixels need orig_hw, the (height, width) of their picture")
            tall, wide = self._placed(orig_hw)
            height, width = orig_hw
            return coords / coords.new_tensor([width, height]) * coords.new_tensor([wide, tall])
        return coords * self.resolution

    def transform_boxes(self, boxes: Tensor, normalize: bool = False, orig_hw: Size | None = None) -> Tensor:
        """(N, 2, 2): the corners of boxes of any shape, to the square."""
        return self.transform_coords(boxes.reshape(-1, 2, 2), normalize, orig_hw)

    def postprocess_masks(self, masks: Tensor, orig_hw: Size) -> Tensor:
        """Logits (N, C, h, w) stretched to the picture, bilinear."""
        height, width = self._placed(orig_hw)
        if min(height, width) < self.resolution:
            whole = F.interpolate(masks.float(), (self.resolution,) * 2, mode="bilinear", align_corners=False)
            masks = whole[..., :height, :width]
        return F.interpolate(masks.float(), orig_hw, mode="bilinear", align_corners=False)
