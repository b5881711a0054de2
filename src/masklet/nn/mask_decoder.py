"""The mask decoder: features and prompts of N objects to four candidate masks each (SAM: Kirillov et al., 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from masklet.nn.layers import MLP, LayerNorm2d, to_map, to_tokens
from masklet.nn.tensors import Levels
from masklet.nn.two_way import TwoWayTransformer

CANDIDATES = 4
"""One mask for a clear prompt, three for an ambiguous one."""

ANSWERS = 2 + CANDIDATES
"""Tokens that become answers: presence, IoU, and one for each mask."""


class MaskDecoder(nn.Module):
    """Decodes all candidates always; which of them counts is decided outside.

    Args:
        width: Channels of tokens and features.
        heads: Attention heads.
        mlp: Hidden width of the transformer's feed-forward part.
        layers: Layers of the transformer.
        head_width: Hidden width of the head that predicts IoU.
    """

    def __init__(self, width: int, heads: int, mlp: int, layers: int, head_width: int) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(width, heads, mlp, layers)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(CANDIDATES, width)
        self.obj_score_token = nn.Embedding(1, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(width, width // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(width, width // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(width, width, width, width // 8) for _ in range(CANDIDATES))
        self.iou_prediction_head = MLP(width, head_width, head_width, CANDIDATES)
        self.pred_obj_score_head = MLP(width, width, width, 1)

    def forward(
        self, features: Tensor, levels: Levels, tokens: Tensor, dense: Tensor, code: Tensor, keep: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decode N objects.

        Args:
            features: (N or 1, C, h, w), conditioned on memory.
            levels: The frame's levels; strides 4 and 8 sharpen the masks.
            tokens: (N, P, C) prompts.
            dense: (N or 1, C, h, w) mask prompts.
            code: (h * w, C) position code of the cells.
            keep: (N, P) bool, False at padding, or None.

        Returns:
            Logits (N, 4, S/4, S/4), IoU (N, 4), mask tokens (N, 4, C), presence logit (N,).
        """
        count = tokens.shape[0]
        answers = torch.cat((self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((answers.expand(count, -1, -1), tokens), dim=1)
        if keep is not None:
            keep = torch.cat((keep.new_ones(count, ANSWERS), keep), dim=1)
        image = features + dense
        tokens, seen = self.transformer(tokens, to_tokens(image), code.to(image.dtype), keep)
        presence, iou, masks = tokens[:, :ANSWERS].split((1, 1, CANDIDATES), dim=1)
        logits = self.paint(to_map(seen, image.shape[-2]), levels, masks)
        iou = self.iou_prediction_head(iou[:, 0]).sigmoid()
        return logits, iou, masks, self.pred_obj_score_head(presence[:, 0])[:, 0]

    def paint(self, image: Tensor, levels: Levels, masks: Tensor) -> Tensor:
        """Upscale the attended image to stride 4 and multiply it by a vector made of each mask token."""
        enlarge1, norm, act1, enlarge2, act2 = self.output_upscaling
        image = act1(norm(enlarge1(image) + levels.stride8))
        image = act2(enlarge2(image) + levels.stride4)
        vectors = [mlp(masks[:, index]) for index, mlp in enumerate(self.output_hypernetworks_mlps)]
        return torch.einsum("nkc,nchw->nkhw", torch.stack(vectors, dim=1), image)
