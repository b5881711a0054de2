"""The network's parts with the signatures of the reference: what its clients call, train and take apart.

A face shares the weights of the part behind it under the same names, so that a state dict of one is that of the other.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from masklet.engines.rules import best_of_three, stability
from masklet.nn import Decoded, Levels, PromptTokens
from masklet.nn.layers import to_map
from masklet.nn.mask_decoder import MaskDecoder
from masklet.nn.network import ImageEncoder
from masklet.nn.positions import sine_map
from masklet.nn.prompt_encoder import PromptEncoder
from masklet.nn.tensors import PromptCodes


class Face(nn.Module):
    """A module in front of another, with its weights and submodules. Training one trains the other."""

    def __init__(self, behind: nn.Module) -> None:
        super().__init__()
        self._modules, self._parameters, self._buffers = behind._modules, behind._parameters, behind._buffers
        self._non_persistent_buffers_set = behind._non_persistent_buffers_set
        object.__setattr__(self, "behind", behind)  # no submodule: its weights are here already
        self.training = behind.training

    def train(self, mode: bool = True) -> Face:
        """Trains the module behind too, whose weights then have gradients."""
        super().train(mode)
        behind: nn.Module = self.behind  # type: ignore[assignment]
        behind.training = mode
        return self.requires_grad_() if mode else self


class ImageEncoderFace(Face):
    """Pictures to a pyramid of features."""

    behind: ImageEncoder

    def forward(self, sample: Tensor) -> dict[str, Any]:
        """(B, 3, S, S) -> "vision_features" (B, C, S/16, S/16), and "backbone_fpn" and "vision_pos_enc" at strides 4, 8
        and 16."""
        levels = list(self.behind(sample))
        codes = [
            sine_map(level.shape[1], level.shape[-1], level.device).to(level.dtype).expand_as(level) for level in levels
        ]
        return {"vision_features": levels[-1], "vision_pos_enc": codes, "backbone_fpn": levels}


class PromptEncoderFace(Face):
    """Points, boxes and masks to tokens and maps."""

    behind: PromptEncoder

    @property
    def image_embedding_size(self) -> tuple[int, int]:
        """Sides of the coarse features, in cells."""
        return (self.behind.height,) * 2

    @property
    def mask_input_size(self) -> tuple[int, int]:
        """Sides of a mask prompt, in cells."""
        return (4 * self.behind.height,) * 2

    def get_dense_pe(self) -> Tensor:
        """(1, C, h, w): the position code of every cell."""
        (code,) = self.behind.compute_tables()
        return to_map(code[None], self.behind.height)

    def forward(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Points (B, P, 2) with labels (B, P), boxes (B, 4), in pixels of the model's square, and logits (B, 1, S/4,
        S/4) -> tokens (B, T, C) and a map (B, C, h, w). Points without a box get a "not a point" beside them."""
        device = self.behind.no_mask_embed.weight.device
        given = next(len(each) for each in (points and points[0], boxes, masks, [0]) if each is not None)
        places = [torch.zeros(given, 0, 2, device=device)]
        labels = [torch.zeros(given, 0, dtype=torch.long, device=device)]
        if points is not None:
            places.append(points[0].to(device).float())
            labels.append(points[1].to(device).long())
            if boxes is None:
                places.append(torch.zeros(given, 1, 2, device=device))
                labels.append(torch.full((given, 1), -1, device=device))
        if boxes is not None:
            places.append(boxes.to(device).float().reshape(-1, 2, 2))
            labels.append(torch.tensor([[2, 3]], device=device).expand(given, -1))
        codes = self.behind(PromptTokens(torch.cat(places, dim=1), torch.cat(labels, dim=1), masks=masks))
        return codes.tokens, codes.dense.expand(given, -1, -1, -1)


class MaskDecoderFace(Face):
    """Features and prompts to masks. If `stable`, a single mask gives way to the best of three where its stability,
    its threshold moved by `delta`, is under `least`."""

    behind: MaskDecoder

    def __init__(self, behind: MaskDecoder, stable: bool, delta: float, least: float) -> None:
        super().__init__(behind)
        self.dynamic_multimask_via_stability = stable
        self.dynamic_multimask_stability_delta = delta
        self.dynamic_multimask_stability_thresh = least

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
        repeat_image: bool,
        high_res_features: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (B, K, S/4, S/4), IoU (B, K), mask tokens (B, K or 1, C) and presence logits (B, 1); K is 3 for
        several masks, else 1. Whether one picture serves all prompts is seen from the shapes."""
        if high_res_features is None:
            raise ValueError("high_res_features are missing; forward_image makes those of strides 4 and 8")
        stride4, stride8 = high_res_features
        levels = Levels(stride4, stride8, image_embeddings)
        codes = PromptCodes(sparse_prompt_embeddings, dense_prompt_embeddings)
        code = image_pe[0].flatten(1).T
        decoded = Decoded(*self.behind(image_embeddings, levels, codes, code, None))
        masks, iou, tokens, presence = decoded
        if multimask_output:
            return masks[:, 1:], iou[:, 1:], tokens[:, 1:], presence[:, None]
        each, chosen = torch.arange(len(masks), device=masks.device), torch.zeros(len(masks), dtype=torch.long)
        chosen = chosen.to(masks.device)
        if self.dynamic_multimask_via_stability and not self.training:
            sure = stability(masks[:, 0], self.dynamic_multimask_stability_delta)
            chosen = torch.where(sure < self.dynamic_multimask_stability_thresh, best_of_three(decoded), chosen)
        return masks[each, chosen][:, None], iou[each, chosen][:, None], tokens[:, :1], presence[:, None]
