"""The model of the first Segment Anything as its clients take it apart, train it and ask it.

Letters: B prompts of one picture, C channels, K masks of a prompt, S side of the model's square, H x W the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from masklet.checkpoints import Model, names
from masklet.compat.failures import CallRefused
from masklet.compat.sam2.modeling.faces import MaskDecoderFace
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.settings import Settings
from masklet.engines.rules import MEAN, STD
from masklet.image.picture import scaled


class FirstMaskDecoderFace(MaskDecoderFace):
    """Features and prompts to masks, without finer levels and presence."""

    def forward(  # type: ignore[override]  # their signature
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Features (1, C, h, w), codes and prompts -> logits (B, K, S/4, S/4), IoU (B, K)."""
        width, side = image_embeddings.shape[1], image_embeddings.shape[-1]
        finer = [
            image_embeddings.new_zeros(1, width // part, size, size) for part, size in ((8, 4 * side), (4, 2 * side))
        ]
        prompts = sparse_prompt_embeddings, dense_prompt_embeddings
        return super().forward(image_embeddings, image_pe, *prompts, multimask_output, True, finer)[:2]


class Sam(SAM2Base):
    """What the builders return: the parts under the names of `segment_anything`, and those of `SAM2Base`."""

    mask_threshold = 0.0
    image_format = "RGB"
    prompt_encoder = property(lambda self: self.sam_prompt_encoder)
    mask_decoder = property(lambda self: self.sam_mask_decoder)
    pixel_mean = property(lambda self: 255 * torch.tensor(MEAN, device=self.device)[:, None, None])
    pixel_std = property(lambda self: 255 * torch.tensor(STD, device=self.device)[:, None, None])

    def __init__(self, model: Model, settings: Settings | None = None) -> None:
        super().__init__(model, settings)
        if model.config.version == "1":
            behind = model.network.sam_mask_decoder
            self.sam_mask_decoder = FirstMaskDecoderFace(behind, stable=False, delta=0.0, least=0.0)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Other weights, by the names of the published files or of `state_dict`."""
        state = names.from_first(state_dict) if names.is_first(state_dict) else state_dict
        return super().load_state_dict(state, strict=strict, assign=assign)

    def preprocess(self, x: Tensor) -> Tensor:
        """Colours 0..255, (B, 3, h, w) or (3, h, w) with sides up to S -> normalised and filled up to (..., 3, S, S);
        for a model of SAM 2 stretched."""
        (height, width), side = x.shape[-2:], self.image_size
        colors = (x - self.pixel_mean) / self.pixel_std
        if not self.engine.config.keeps_ratio:
            return scaled(colors.reshape(-1, 3, height, width), (side, side)).reshape(*x.shape[:-2], side, side)
        return F.pad(colors, (0, side - width, 0, side - height))

    def postprocess_masks(self, masks: Tensor, input_size: tuple[int, int], original_size: tuple[int, int]) -> Tensor:
        """Logits (B, K, S/4, S/4) -> (B, K, H, W), of the part of the square that a picture takes, `input_size`;
        for a model of SAM 2 all of it."""
        if self.engine.config.keeps_ratio:
            whole = F.interpolate(masks, (self.image_size,) * 2, mode="bilinear", align_corners=False)
            masks = whole[..., : input_size[0], : input_size[1]]
        return F.interpolate(masks, tuple(original_size), mode="bilinear", align_corners=False)

    def forward(self, batched_input: Sequence[Mapping[str, Any]], multimask_output: bool) -> list[dict[str, Tensor]]:
        """Ask about several pictures, each a dict of the reference: "image" (3, h, w) of 0..255, its longer side S,
        "original_size" (H, W), and "point_coords" (B, P, 2) with "point_labels" (B, P), "boxes" (B, 4) or "mask_inputs"
        (B, 1, S/4, S/4).

        Returns:
            For each picture "masks" bool (B, K, H, W), "iou_predictions" (B, K), "low_res_logits" (B, K, S/4, S/4).

        Raises:
            CallRefused: A model of SAM 2 is behind (a RuntimeError).
        """
        if not isinstance(self.sam_mask_decoder, FirstMaskDecoderFace):
            raise CallRefused(f"{self.engine.name} is a model of SAM 2; ask it by SamPredictor, or build a file of ViT")
        answers = []
        with torch.no_grad():
            for asked in batched_input:
                features = self.image_encoder(self.preprocess(asked["image"])[None])
                points = (asked["point_coords"], asked["point_labels"]) if "point_coords" in asked else None
                sparse, dense = self.sam_prompt_encoder(points, asked.get("boxes"), asked.get("mask_inputs"))
                low, iou = self.sam_mask_decoder(
                    features, self.sam_prompt_encoder.get_dense_pe(), sparse, dense, multimask_output
                )
                size = asked["image"].shape[-2], asked["image"].shape[-1]
                masks = self.postprocess_masks(low, size, asked["original_size"]) > self.mask_threshold
                answers.append({"masks": masks, "iou_predictions": iou, "low_res_logits": low})
        return answers
