"""EdgeTAM gives what transformers' EdgeTam and EdgeTamVideo give, with equal weights moved over by the table of names.

Random weights, a narrow configuration. The trunk is ours in both, as theirs is timm's, whose maps are compared in
tests/nn/test_trunks.py.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import EdgeTamConfig, EdgeTamModel, EdgeTamVideoConfig, EdgeTamVideoModel, EdgeTamVisionConfig
from transformers.models.edgetam import modeling_edgetam
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession

from masklet.checkpoints.load import blank_network, load_weights
from masklet.checkpoints.names import from_transformers, to_transformers
from masklet.engines.torch import Model
from masklet.image.predictor import no_memories
from masklet.media.source import open_video
from masklet.nn import Levels, MemoryBank, ModelConfig
from masklet.nn.config import RepViTConfig
from masklet.video.reader import frame_tensor
from tests.checkpoints.test_transformers_parity import BOXES, LABELS, POINTS, TOLERANCE, prompt_tokens, randomise
from tests.video.test_transformers_video import CLICKS, CLIP, assert_followed_alike

SIZE, WIDTH, CELLS, GRID = 128, 128, 8, 4

CONFIG = ModelConfig(
    name="parity",
    encoder=RepViTConfig((16, 24, 32, 48), (1, 1, 2, 1)),
    version="2.0",
    image_size=SIZE,
    width=WIDTH,
    memory_width=64,  # transformers has no other
    memory_grid=GRID,
    attention_layers=2,
    attention_mlp=96,
    decoder_mlp=64,
    head_width=48,
)


class Backbone(nn.Module):
    """Our trunk as the wrapper around timm's models that transformers has."""

    def __init__(self) -> None:
        super().__init__()
        trunk = CONFIG.encoder.build(SIZE).eval()
        self.timm_model: Any = trunk.body
        self.maps = [trunk]  # in a list, so that it is no module of this one

    def forward(self, pictures: torch.Tensor, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.maps[0](pictures), hidden_states=None)


def their_video_config() -> EdgeTamVideoConfig:
    vision = EdgeTamVisionConfig(
        backbone_channel_list=list(reversed(CONFIG.encoder.widths)),
        backbone_feature_sizes=[[SIZE // stride] * 2 for stride in (4, 8, 16)],
        fpn_hidden_size=WIDTH,
    )
    decoder = {"hidden_size": WIDTH, "mlp_dim": CONFIG.decoder_mlp, "iou_head_hidden_dim": CONFIG.head_width}
    return EdgeTamVideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": WIDTH, "image_size": SIZE},
        mask_decoder_config=decoder,
        image_size=SIZE,
        memory_attention_hidden_size=WIDTH,
        memory_attention_mlp_hidden_size=CONFIG.attention_mlp,
        memory_attention_rope_feat_sizes=[CELLS, CELLS],
        memory_attention_rope_k_sizes=[GRID, GRID],
        perceiver_resampler_num_latents=GRID**2,
        perceiver_resampler_num_latents_2d=GRID**2,
        memory_encoder_hidden_size=WIDTH,
        mask_downsampler_embed_dim=WIDTH,
        memory_fuser_embed_dim=WIDTH,
        memory_fuser_intermediate_dim=4 * WIDTH,
        enable_occlusion_spatial_embedding=False,  # as in the published file
        enable_temporal_pos_encoding_for_object_pointers=False,
    )


class Pair:
    """The same weights twice: theirs for video, theirs for pictures, and ours."""

    def __init__(self, seed: int = 0, presence: float = 0.0) -> None:
        config = their_video_config()
        self.video = EdgeTamVideoModel(config).eval()
        randomise(self.video, seed)
        for key, tensor in self.video.state_dict().items():
            if key.endswith("running_var"):
                tensor.abs_().add_(0.5)
        self.video.mask_decoder.pred_obj_score_head.proj_out.bias += presence
        image_config = EdgeTamConfig(
            vision_config=config.vision_config,
            prompt_encoder_config=config.prompt_encoder_config.to_dict(),
            mask_decoder_config={**config.mask_decoder_config.to_dict(), "dynamic_multimask_via_stability": False},
        )
        self.image = EdgeTamModel(image_config).eval()
        assert self.image.load_state_dict(self.video.state_dict(), strict=False).missing_keys == []
        self.ours = Model("parity", load_weights(blank_network(CONFIG), from_transformers(self.video.state_dict())))


@pytest.fixture(scope="module")
def backbone() -> Any:
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        made = modeling_edgetam.AutoModel.from_config
        patch.setattr(
            modeling_edgetam.AutoModel,
            "from_config",
            lambda config: Backbone() if config.model_type == "timm_wrapper" else made(config),
        )
        yield


@pytest.fixture(scope="module")
def pair(backbone: None) -> Pair:
    return Pair()


def pictures(pair: Pair) -> tuple[torch.Tensor, Levels]:
    picture = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    return picture, pair.ours.encode_image(picture)


def to_tokens(maps: torch.Tensor) -> torch.Tensor:
    """(N, C, h, w) -> (N, h * w, C)"""
    return maps.flatten(2).transpose(1, 2)


def test_names_go_there_and_back(pair: Pair) -> None:
    theirs = pair.video.state_dict()
    back = to_transformers(from_transformers(theirs))
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("boxes", [False, True], ids=["points", "boxes"])
def test_pictures_and_prompts_become_the_same_masks(pair: Pair, boxes: bool) -> None:
    picture, levels = pictures(pair)
    prompts: dict[str, torch.Tensor] = {"boxes": BOXES} if boxes else {"points": POINTS, "labels": LABELS}
    features = pair.ours.attend_memory(levels.stride16, no_memories(pair.ours))
    ours = pair.ours.decode_masks(features, levels, prompt_tokens(**prompts))
    asked = {f"input_{name}": value[None] for name, value in prompts.items()}
    theirs = pair.image(pixel_values=picture, multimask_output=True, **asked)
    torch.testing.assert_close(ours.logits[:, 1:], theirs.pred_masks[0], **TOLERANCE)
    torch.testing.assert_close(ours.iou[:, 1:], theirs.iou_scores[0], **TOLERANCE)
    assert ours.logits.std() > 0.1


def test_memories_are_condensed_and_attended_the_same(pair: Pair) -> None:
    generator = torch.Generator().manual_seed(3)
    _, levels = pictures(pair)
    vision = pair.video.get_image_features(pictures(pair)[0])
    flat = vision.fpn_hidden_states[-1]
    logits = 4 * torch.randn(3, 1, SIZE, SIZE, generator=generator)
    kept = [
        dict(zip(("maskmem_features", "maskmem_pos_enc"), answer, strict=True))
        for answer in (
            pair.video._encode_new_memory(flat, mask[None], torch.tensor([[3.0]]), is_mask_from_pts=False)
            for mask in logits
        )
    ]
    memories = pair.ours.encode_memory(levels.stride16, logits.sigmoid() * 20 - 10, torch.full((3,), 3.0))
    assert memories.shape == (3, *CONFIG.memory_shape)
    for ours, theirs in zip(to_tokens(memories), kept, strict=True):
        torch.testing.assert_close(ours, theirs["maskmem_features"][0], **TOLERANCE)
    slots, offsets = [6, 0, 2], [3, 1, -2, 5]
    entries = [(0 if slot == 6 else slot + 1, memory) for slot, memory in zip(slots, kept, strict=True)]
    tokens, codes = pair.video._build_memory_attention_inputs(entries, memories.device)
    pointers = torch.randn(1, 4, WIDTH, generator=generator)
    pointer_tokens, pointer_codes = pair.video._process_object_pointers(
        offsets, list(pointers.unbind(1)), 16, 1, WIDTH, memories.device
    )
    theirs = pair.video.memory_attention(
        current_vision_features=flat,
        current_vision_position_embeddings=vision.fpn_position_encoding[-1],
        memory=torch.cat([*tokens, pointer_tokens]),
        memory_posision_embeddings=torch.cat([*codes, pointer_codes]),
        num_object_pointer_tokens=len(pointer_tokens),
        num_spatial_memory_tokens=len(tokens),
    )
    ours = pair.ours.attend_memory(
        levels.stride16, MemoryBank(memories[None], torch.tensor([slots]), pointers, torch.tensor([offsets]) / 15)
    )
    torch.testing.assert_close(to_tokens(ours), theirs.reshape(1, CELLS**2, WIDTH), **TOLERANCE)


def their_masks(pair: Pair) -> np.ndarray:
    """bool (frames, objects, 120, 160)"""
    frames = torch.cat([frame_tensor(frame.image, pair.ours) for frame in open_video(CLIP)])
    session = EdgeTamVideoInferenceSession(video=frames, video_height=120, video_width=160, dtype=torch.float32)
    for name, (x, y) in CLICKS.items():
        place = torch.tensor([[[[x / 160 * SIZE, y / 120 * SIZE]]]])
        point = {"point_coords": place, "point_labels": torch.tensor([[[1]]], dtype=torch.int32)}
        session.add_point_inputs(session.obj_id_to_idx(name), 0, point)
    session.obj_with_new_inputs = list(CLICKS)
    masks = []
    for frame in range(len(frames)):
        logits = pair.video(session, frame_idx=frame).pred_masks
        full = torch.nn.functional.interpolate(logits.float(), size=(120, 160), mode="bilinear", align_corners=False)
        masks.append(full[:, 0].numpy() > 0)
    return np.stack(masks)


def test_the_same_masks_along_a_clip_with_two_objects(backbone: None) -> None:
    pair = Pair(seed=SEED, presence=6.0)
    assert_followed_alike(pair.ours, their_masks(pair))


SEED = 8
"""Weights by which both objects keep a part of the picture to the end of the clip."""
