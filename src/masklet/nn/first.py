"""The network of the first Segment Anything (Kirillov et al., 2023), behind the same four functions.

It has one level of features, and neither memory nor presence. So the fine levels are zeros, memories are empty, and an
object is in a frame if something is said of it there. A followed frame has the mask of the frame before as a mask
prompt, and this network is asked by the box around it too: it did not learn to answer to a mask alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.nn.config import FINEST_STRIDE, ModelConfig
from masklet.nn.layers import LayerNorm2d, Trunk, or_all, tight_box
from masklet.nn.mask_decoder import CANDIDATES, MaskDecoder
from masklet.nn.network import Network
from masklet.nn.prompt_encoder import PromptEncoder
from masklet.nn.tensors import Decoded, Levels, MemoryBank, PromptTokens

CERTAIN_LOGIT = 10.0
"""Logit of the presence of an object of which something is said, and of a cell inside a mask that a person gave."""


class FirstImageEncoder(nn.Module):
    """Trunk and neck: (B, 3, S, S) -> (B, C, S/16, S/16)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.trunk: Trunk = config.encoder.build(config.image_size)
        self.neck = nn.Sequential(
            nn.Conv2d(config.encoder.widths[2], config.width, kernel_size=1, bias=False),
            LayerNorm2d(config.width),
            nn.Conv2d(config.width, config.width, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(config.width),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.neck(self.trunk(images)[2])


class FirstMaskDecoder(MaskDecoder):
    """The published mask decoder without presence, fine levels and a bound of its scores."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        del self.obj_score_token, self.pred_obj_score_head, self.conv_s0, self.conv_s1

    def answers(self) -> Tensor:
        return torch.cat((self.iou_token.weight, self.mask_tokens.weight))

    def scores(self, answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        iou, masks = answers.split((1, CANDIDATES), dim=1)
        return self.iou_prediction_head(iou[:, 0]), masks, masks.new_full(masks.shape[:1], CERTAIN_LOGIT)


class FirstNetwork(Network):
    """Segment Anything 1 as configured, with random weights until a checkpoint is loaded."""

    def __init__(self, config: ModelConfig) -> None:
        nn.Module.__init__(self)
        self.config = config
        self.image_encoder: nn.Module = FirstImageEncoder(config)  # type: ignore[assignment]
        self.sam_prompt_encoder = PromptEncoder(config)
        self.sam_mask_decoder = FirstMaskDecoder(config)
        self.register_load_state_dict_post_hook(Network.forget)  # type: ignore[no-untyped-call]

    @property
    def absent_pointer(self) -> Tensor:
        """(1, C) zeros: there are no pointers."""
        return torch.zeros_like(self.sam_mask_decoder.iou_token.weight)

    def encode_image(self, images: Tensor) -> Levels:
        """See `Network`; strides 4 and 8 are zeros."""
        features, width = self.image_encoder(images), self.config.width
        count, side, none = len(images), self.config.memory_size, features.new_zeros(1)
        return Levels(
            none.expand(count, width // 8, 4 * side, 4 * side),
            none.expand(count, width // 4, 2 * side, 2 * side),
            features,
        )

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        """The features themselves, (N, C, h, w)."""
        return features.expand(bank.memories.shape[0], -1, -1, -1)

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        """See `Network`; pointers are zeros."""
        if prompts.masks is not None and prompts.masks.shape[-1] == self.config.image_size:
            shrunk = F.interpolate(prompts.masks, scale_factor=1 / FINEST_STRIDE, mode="area")
            prompts = prompts._replace(masks=(2 * shrunk - 1) * CERTAIN_LOGIT)
        prompts, present = as_learned(prompts)
        codes = self.sam_prompt_encoder(prompts)
        (code,) = self.sam_prompt_encoder.tables()
        logits, iou, masks, presence = self.sam_mask_decoder(features, levels, codes, code, prompts.keep)
        return Decoded(logits, iou, torch.zeros_like(masks), torch.where(present, presence, -presence))

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """Nothing, (N, M, 1, 1)."""
        return features.new_zeros(len(masks), *self.config.memory_shape)


def as_learned(prompts: PromptTokens) -> tuple[PromptTokens, Tensor]:
    """The tokens that the network learned with, and which objects (N,) anything is known of.

    "Not a point" stands beside clicks only, not beside a box or alone. An object of which only a mask is known is asked
    for by the box around it.
    """
    labels = prompts.labels
    keep = or_all(prompts.keep, labels)
    said = keep & (labels >= 0)
    clicked = said.any(dim=1) & ~(said & (labels == 2)).any(dim=1)
    keep = said | (keep & clicked[:, None])
    present = said.any(dim=1)
    if prompts.masks is None:
        return prompts._replace(keep=keep), present
    masked = (prompts.masks > 0).flatten(1).any(dim=1)
    masked = masked if prompts.keep_masks is None else masked & prompts.keep_masks
    box = tight_box(prompts.masks[:, 0] > 0).unflatten(1, (2, 2))
    corners = (box + box.new_tensor([[0], [1]])) * FINEST_STRIDE  # beyond the last column and row
    alone = masked & ~present
    return (
        prompts._replace(
            points=torch.cat((prompts.points, corners.to(prompts.points.dtype)), dim=1),
            labels=torch.cat((labels, labels.new_tensor([[2, 3]]).expand(len(labels), -1)), dim=1),
            keep=torch.cat((keep, alone[:, None].expand(-1, 2)), dim=1),
        ),
        present | masked,
    )
