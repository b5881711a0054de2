"""Image encoders: pictures to maps at strides 4, 8, 16 and 32. Which one is built follows from its configuration."""

from __future__ import annotations

from torch import nn

from masklet.nn.config import ConvNetConfig, EncoderConfig, HieraConfig, InvertedResidualConfig
from masklet.nn.encoders.convnet import ConvNet
from masklet.nn.encoders.hiera import Hiera
from masklet.nn.encoders.inverted_residual import InvertedResidualTrunk

__all__ = ["ConvNet", "Hiera", "InvertedResidualTrunk", "build_trunk"]


def build_trunk(config: EncoderConfig, image_size: int) -> nn.Module:
    """The trunk that the configuration describes."""
    match config:
        case HieraConfig():
            return Hiera(config, image_size)
        case ConvNetConfig():
            return ConvNet(config)
        case InvertedResidualConfig():
            return InvertedResidualTrunk(config)
