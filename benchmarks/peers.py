"""Other implementations with the same weights as ours, so that only speed differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from masklet.checkpoints import Model
from masklet.checkpoints.names import to_transformers
from masklet.image import EverythingOptions
from masklet.masks.rle import Rle, encode_rle
from masklet.masks.shape import mask_box, suppress
from masklet.nn import HieraConfig, ModelConfig


def transformers_image_model(model: Model) -> Sam2Model:
    """transformers' image model of the same configuration, with the weights of ours."""
    side = model.config.image_size
    theirs = Sam2Model(
        Sam2Config(vision_config=vision_config(model.config), prompt_encoder_config={"image_size": side})
    )
    state = to_transformers(model.network.state_dict())
    theirs.load_state_dict({key: state[key] for key in theirs.state_dict()})
    return theirs.eval().requires_grad_(False).to(model.device)


class TheirImages:
    """What their image predictor and their mask-generation pipeline do with their model.

    Their own processor needs torchvision; its steps are written out here, with our run lengths and our suppression,
    which are quicker than theirs.
    """

    def __init__(self, model: Sam2Model, size: tuple[int, int]) -> None:
        self.model, self.size = model, size
        height, width = size
        side = model.config.prompt_encoder_config.image_size
        self.scale = side / torch.tensor([width, height], dtype=torch.float32)

    @torch.inference_mode()
    def encode(self, square: Tensor) -> list[Tensor]:
        """The levels of a normalised picture, (1, 3, S, S)."""
        return self.model.get_image_embeddings(square)

    @torch.inference_mode()
    def click(self, levels: list[Tensor], click: tuple[float, float]) -> NDArray[np.bool_]:
        """Three masks of a click, (3, H, W), best first."""
        answer = self.ask(levels, torch.tensor([click]))
        order = answer.iou_scores[0, 0].argsort(descending=True)
        return (self.enlarged(answer.pred_masks[0, 0, order][None])[0] > 0).numpy()

    @torch.inference_mode()
    def boxes(self, levels: list[Tensor], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """One mask of each box, (N, H, W)."""
        corners = (torch.from_numpy(boxes).float().view(-1, 2, 2) * self.scale).view(1, -1, 4)
        answer = self.model(image_embeddings=levels, input_boxes=corners, multimask_output=False)
        return (self.enlarged(answer.pred_masks[0])[:, 0] > 0).numpy()

    @torch.inference_mode()
    def everything(self, square: Tensor, options: EverythingOptions) -> list[Rle]:
        """The masks of everything, as their pipeline filters them."""
        levels = self.encode(square)
        height, width = self.size
        points = torch.from_numpy(options.grid(0) * (width, height)).float()
        scores, boxes, rles = [], [], []
        for batch in points.split(options.points_per_batch):
            answer = self.ask(levels, batch)
            logits, iou = self.enlarged(answer.pred_masks[0]).flatten(0, 1), answer.iou_scores[0].flatten()
            kept = iou > options.least_iou
            logits, iou = logits[kept], iou[kept]
            inner, outer = (
                (logits > options.threshold + offset).sum((-1, -2))
                for offset in (options.stability_offset, -options.stability_offset)
            )
            kept = inner / outer >= options.least_stability
            masks, iou = (logits[kept] > options.threshold).numpy(), iou[kept]
            scores += iou.tolist()
            boxes += [mask_box(mask) - (0, 0, 1, 1) for mask in masks]
            rles += [encode_rle(mask) for mask in masks]
        return [rles[row] for row in suppress(boxes, scores, options.most_overlap)]

    def ask(self, levels: list[Tensor], points: Tensor) -> Any:
        """One click on each of N things, three masks for each."""
        places = (points * self.scale)[None, :, None]
        labels = torch.ones(places.shape[:3], dtype=torch.int32)
        return self.model(image_embeddings=levels, input_points=places, input_labels=labels, multimask_output=True)

    def enlarged(self, logits: Tensor) -> Tensor:
        """(N, K, S/4, S/4) -> (N, K, H, W)"""
        return F.interpolate(logits, size=self.size, mode="bilinear", align_corners=False)


def transformers_video_model(model: Model) -> Sam2VideoModel:
    """transformers' video model of the same configuration, with the weights of ours."""
    config = model.config
    side, cells = config.image_size, config.memory_size
    theirs = Sam2VideoModel(
        Sam2VideoConfig(
            vision_config=vision_config(config),
            prompt_encoder_config={"image_size": side},
            image_size=side,
            memory_attention_rope_feat_sizes=[cells, cells],
            enable_occlusion_spatial_embedding=config.version == "2.1",
            enable_temporal_pos_encoding_for_object_pointers=config.version == "2.1",
        )
    )
    theirs.load_state_dict(to_transformers(model.network.state_dict()))
    return theirs.eval().requires_grad_(False).to(model.device)


def vision_config(config: ModelConfig) -> dict[str, Any]:
    """Their description of our image encoder."""
    trunk, side = config.encoder, config.image_size
    assert isinstance(trunk, HieraConfig), "transformers knows Hiera trunks only"
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "image_size": [side, side],
        "hidden_size": trunk.width,
        "num_attention_heads": trunk.heads,
        "blocks_per_stage": list(trunk.depths),
        "embed_dim_per_stage": list(trunk.widths),
        "window_size_per_stage": list(trunk.windows),
        "window_positional_embedding_background_size": [trunk.background, trunk.background],
        "global_attention_blocks": list(trunk.global_blocks),
    }
    return {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": list(reversed(trunk.widths)),
        "backbone_feature_sizes": [[side // stride] * 2 for stride in (4, 8, 16)],
    }


def begin_session(
    theirs: Sam2VideoModel, frames: Tensor, size: tuple[int, int], clicks: dict[int, tuple[float, float]]
) -> Sam2VideoInferenceSession:
    """A session over frames (T, 3, S, S) with one click on frame 0 for each object, in pixels of the picture."""
    height, width = size
    device = next(theirs.parameters()).device
    session = Sam2VideoInferenceSession(
        video=frames,
        video_height=height,
        video_width=width,
        dtype=next(theirs.parameters()).dtype,
        inference_device=device,
        inference_state_device=device,
        video_storage_device=device,
    )
    for name, (x, y) in clicks.items():
        place = torch.tensor([x / width, y / height]) * frames.shape[-1]
        prompt = {
            "point_coords": place.view(1, 1, 1, 2).to(device),
            "point_labels": torch.ones(1, 1, 1, dtype=torch.int32, device=device),
        }
        session.add_point_inputs(session.obj_id_to_idx(name), 0, prompt)
    session.obj_with_new_inputs = list(clicks)
    return session
