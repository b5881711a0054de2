"""Prompts as tokens and maps: points and boxes become tokens, masks become a map (SAM: Kirillov et al., 2023)."""

import torch
from torch import Tensor, nn

from masklet.nn.config import FINEST_STRIDE, ModelConfig
from masklet.nn.layers import LayerNorm2d, Prepared, or_all
from masklet.nn.positions import FourierCode
from masklet.nn.tensors import PromptCodes, PromptTokens

MASK_WIDTH = 16
"""Channels of a mask prompt on its way to the features' width."""

DRAWN_CHANNELS = 4
"""Channels of a drawn prompt: the earlier logits, the box, included and excluded points."""


def shrink_mask(channels: int, middle: int, width: int) -> nn.Sequential:
    """A map at stride 4 to the features' width at stride 16."""
    return nn.Sequential(
        nn.Conv2d(channels, middle // 4, kernel_size=2, stride=2),
        LayerNorm2d(middle // 4),
        nn.GELU(),
        nn.Conv2d(middle // 4, middle, kernel_size=2, stride=2),
        LayerNorm2d(middle),
        nn.GELU(),
        nn.Conv2d(middle, width, kernel_size=1),
    )


class PromptEncoder(Prepared):
    """The published prompt encoder. Points are given in pixels of the model's square, of the side `image_size`; the
    coarse features have `height` x `height` cells."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__("grid")
        self.image_size, self.height, width = config.image_size, config.memory_size, config.width
        self.pe_layer = FourierCode(width)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.mask_downscaling = shrink_mask(1, MASK_WIDTH, width)
        self.no_mask_embed = nn.Embedding(1, width)

    def compute_tables(self) -> tuple[Tensor]:
        """The position code of every cell of the coarse features, (h * w, C)."""
        return (self.pe_layer.grid(self.height),)

    def forward(self, prompts: PromptTokens) -> PromptCodes:
        """Points as tokens, and masks as a map to add to the features."""
        return PromptCodes(self.embed_points(prompts.points, prompts.labels), self.embed_masks(prompts))

    def embed_points(self, points: Tensor, labels: Tensor) -> Tensor:
        """A code of the place, 0.5 pixels further as published, plus a vector for the label; -1 has no place."""
        kinds = torch.cat([self.not_a_point_embed.weight, *self.point_embeddings.parameters()])
        code = self.pe_layer((points + 0.5) / self.image_size).to(kinds.dtype)
        return code * (labels >= 0).unsqueeze(-1) + kinds[labels + 1]

    def embed_masks(self, prompts: PromptTokens) -> Tensor:
        """The mask prompt's map; objects without one get a learned vector everywhere."""
        nothing = self.no_mask_embed.weight[:, :, None, None]
        if prompts.masks is None:
            return nothing.expand(-1, -1, self.height, self.height)
        masks: Tensor = self.mask_downscaling(prompts.masks)
        return masks if prompts.keep_masks is None else torch.where(_each(prompts.keep_masks), masks, nothing)


class DrawnPromptEncoder(PromptEncoder):
    """Points and boxes are tokens as published, and are also drawn into the mask prompt.

    A network that learns from little data finds a drawn place at once, where it must first learn what a Fourier code
    means. Four channels at stride 4: the earlier logits, +1 inside and -1 outside the box, and a spot for every
    included and every excluded point.
    """

    SPOT = 2.0
    """Standard deviation of a spot, in cells at stride 4."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.mask_downscaling = shrink_mask(DRAWN_CHANNELS, 4 * MASK_WIDTH, config.width)

    def forward(self, prompts: PromptTokens) -> PromptCodes:
        drawing = self.draw(prompts.points, prompts.labels)
        logits, has_logits = torch.zeros_like(drawing[:, :1]), drawing.new_zeros(drawing.shape[0], dtype=torch.bool)
        if prompts.masks is not None:
            has_logits = or_all(prompts.keep_masks, has_logits)
            logits = torch.where(_each(has_logits), prompts.masks, 0)
        drawing = torch.cat((logits.to(drawing.dtype), drawing), dim=1)
        embedded: Tensor = self.mask_downscaling(drawing)
        dense = embedded + torch.where(_each(has_logits), 0, self.no_mask_embed.weight[:, :, None, None])
        return PromptCodes(self.embed_points(prompts.points, prompts.labels), dense, drawing)

    def draw(self, points: Tensor, labels: Tensor) -> Tensor:
        """-> (N, 3, S/4, S/4): box, included points, excluded points."""
        side = self.image_size // FINEST_STRIDE
        cell = torch.arange(side, device=points.device) + 0.5
        x, y = (points.float() / FINEST_STRIDE)[..., None].unbind(-2)  # (N, P, 1)
        across, down = cell - x, cell - y  # (N, P, S/4), distance of each column and row
        spots = torch.exp(down.square() / (-2 * self.SPOT**2))[..., :, None] * torch.exp(
            across.square() / (-2 * self.SPOT**2)
        ).unsqueeze(-2)
        included, excluded = ((spots * (labels == label)[..., None, None]).amax(1) for label in (1, 0))  # (N, S/4, S/4)
        begins, ends = (labels == 2)[..., None], (labels == 3)[..., None]
        rows, columns = (
            (begins & (distance > 0)).any(1) & (ends & (distance < 0)).any(1) for distance in (down, across)
        )  # (N, S/4): between the corners
        inside = (rows[:, :, None] & columns[:, None, :]) * 2.0 - 1.0
        box = inside * begins.any(1)[..., None]
        return torch.stack((box, included, excluded), dim=1).to(self.no_mask_embed.weight.dtype)


def _each(keep: Tensor) -> Tensor:
    return keep[:, None, None, None]
