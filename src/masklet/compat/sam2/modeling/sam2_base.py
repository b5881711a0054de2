"""The model that the builders return, and that the predictors take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from masklet.checkpoints import Model
from masklet.compat.sam2.configs import IMAGE_POSTPROCESSING, Settings

if TYPE_CHECKING:
    from typing_extensions import Self


class SAM2Base:
    """A loaded model with the settings of the reference.

    Args:
        model: What `masklet.load_model` returns.
        settings: How it is used; those of `build_sam2` if not given.
    """

    def __init__(self, model: Model, settings: Settings | None = None) -> None:
        self.engine = model
        self.settings = settings or Settings(**IMAGE_POSTPROCESSING)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.engine.device

    @property
    def image_size(self) -> int:
        """Side of the square that the network sees, in pixels."""
        return self.engine.config.image_size

    @property
    def num_maskmem(self) -> int:
        """Temporal slots of the memory."""
        return self.engine.config.memory_frames

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device."""
        self.engine.move(device)
        return self

    def cuda(self) -> Self:
        """Move the network to the GPU."""
        return self.to("cuda")

    def cpu(self) -> Self:
        """Move the network to the CPU."""
        return self.to("cpu")

    def eval(self) -> Self:
        """The network is in evaluation already."""
        return self

    def parameters(self) -> Iterator[nn.Parameter]:
        """The network's weights."""
        return self.engine.network.parameters()

    def state_dict(self) -> dict[str, Tensor]:
        """The weights by the names of the published checkpoints."""
        return self.engine.network.state_dict()
