"""The neck: four maps of the trunk to three levels of equal width (feature pyramid: Lin et al., 2017)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import EncoderConfig
from masklet.nn.trunk import Trunk


class Lateral(nn.Module):
    """A 1 x 1 convolution that brings a trunk's map to the common width."""

    def __init__(self, width: int, width_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width_out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class Neck(nn.Module):
    """Only the coarsest map flows down, and only one step: stride 32 is added to stride 16, then dropped."""

    def __init__(self, widths: tuple[int, ...], width_out: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(width, width_out) for width in reversed(widths))  # coarse to fine

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at strides 4, 8, 16, 32 -> levels at strides 4, 8, 16, each (B, C, S/stride, S/stride)."""
        stride32, stride16, stride8, stride4 = (
            lateral(x) for lateral, x in zip(self.convs, reversed(maps), strict=True)
        )
        return stride4, stride8, stride16 + F.interpolate(stride32, scale_factor=2.0, mode="nearest")


class ImageEncoder(nn.Module):
    """Trunk and neck: (B, 3, S, S) -> three levels of `width` channels at strides 4, 8 and 16."""

    def __init__(self, config: EncoderConfig, image_size: int, width: int) -> None:
        super().__init__()
        self.trunk: Trunk = config.build(image_size)
        self.neck = Neck(config.widths, width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        levels: tuple[Tensor, Tensor, Tensor] = self.neck(self.trunk(images))
        return levels
