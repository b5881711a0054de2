"""Frames as the network wants them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from masklet.engines.base import Engine
from masklet.engines.rules import normalise


def frame_tensor(image: NDArray[np.uint8], engine: Engine) -> Tensor:
    """uint8 (H, W, 3) RGB -> (1, 3, S, S) normalised: stretched to the square by Pillow's bicubic filter, as published
    for video frames."""
    side = engine.config.image_size
    square = np.array(Image.fromarray(image).resize((side, side)), dtype=np.float32) / 255
    tensor = torch.from_numpy(square).permute(2, 0, 1)[None]
    return normalise(tensor).to(engine.device, engine.dtype)
