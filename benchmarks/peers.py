"""Other implementations with the same weights as ours, so that only speed differs."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import Sam2VideoConfig, Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from masklet.checkpoints import Model
from masklet.checkpoints.names import to_transformers
from masklet.nn import HieraConfig


def transformers_video_model(model: Model) -> Sam2VideoModel:
    """transformers' video model of the same configuration, with the weights of ours."""
    config = model.config
    trunk, side, cells = config.encoder, config.image_size, config.memory_size
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
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": list(reversed(trunk.widths)),
        "backbone_feature_sizes": [[side // stride] * 2 for stride in (4, 8, 16)],
    }
    theirs = Sam2VideoModel(
        Sam2VideoConfig(
            vision_config=vision,
            prompt_encoder_config={"image_size": side},
            image_size=side,
            memory_attention_rope_feat_sizes=[cells, cells],
            enable_occlusion_spatial_embedding=config.version == "2.1",
            enable_temporal_pos_encoding_for_object_pointers=config.version == "2.1",
        )
    )
    theirs.load_state_dict(to_transformers(model.network.state_dict()))
    return theirs.eval().requires_grad_(False).to(model.device)


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
        dtype=torch.float32,
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
