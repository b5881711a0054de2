"""The network gives what transformers gives, with its weights moved over by the table of names.

Random weights, a narrow configuration. transformers, like the published predictors, adds one padding token (label -1)
to points, to boxes, and to both; a frame without points gets one more. `prompt_tokens` does the same.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel

from masklet.checkpoints.load import blank_network, load_weights
from masklet.checkpoints.names import THEIR_MATRIX, THEIR_MATRIX_TWIN, from_transformers
from masklet.engines.torch import Model
from masklet.image.predictor import no_memories
from masklet.nn import HieraConfig, Levels, MemoryBank, ModelConfig, PromptTokens

SIZE, WIDTH, MEMORY_WIDTH = 64, 128, 64  # transformers has memories of 64 channels only
CELLS = SIZE // 16

TRUNK = HieraConfig(width=16, heads=1, depths=(1, 2, 3, 2), global_blocks=(4,))
CONFIG = ModelConfig(
    name="parity",
    encoder=TRUNK,
    image_size=SIZE,
    width=WIDTH,
    memory_width=MEMORY_WIDTH,
    attention_layers=2,
    attention_mlp=96,
    decoder_mlp=64,
    head_width=48,
)

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}


def their_config(version: str) -> Sam2VideoConfig:
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "image_size": [SIZE, SIZE],
        "hidden_size": TRUNK.width,
        "num_attention_heads": TRUNK.heads,
        "blocks_per_stage": list(TRUNK.depths),
        "embed_dim_per_stage": list(TRUNK.widths),
        "window_size_per_stage": list(TRUNK.windows),
        "global_attention_blocks": list(TRUNK.global_blocks),
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": list(reversed(TRUNK.widths)),
        "backbone_feature_sizes": [[SIZE // stride] * 2 for stride in (4, 8, 16)],
        "fpn_hidden_size": WIDTH,
    }
    decoder = {
        "hidden_size": WIDTH,
        "mlp_dim": CONFIG.decoder_mlp,
        "iou_head_hidden_dim": CONFIG.head_width,
        "dynamic_multimask_via_stability": False,
    }
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": WIDTH, "image_size": SIZE},
        mask_decoder_config=decoder,
        image_size=SIZE,
        memory_attention_hidden_size=WIDTH,
        memory_attention_num_layers=CONFIG.attention_layers,
        memory_attention_feed_forward_hidden_size=CONFIG.attention_mlp,
        memory_attention_rope_feat_sizes=[CELLS, CELLS],
        memory_encoder_hidden_size=WIDTH,
        memory_encoder_output_channels=MEMORY_WIDTH,
        mask_downsampler_embed_dim=WIDTH,
        memory_fuser_embed_dim=WIDTH,
        memory_fuser_intermediate_dim=4 * WIDTH,
        enable_occlusion_spatial_embedding=version == "2.1",
        enable_temporal_pos_encoding_for_object_pointers=version == "2.1",
    )


class Pair:
    """The same weights twice: theirs for video, theirs for images, and ours."""

    def __init__(self, version: str) -> None:
        config = their_config(version)
        self.video = Sam2VideoModel(config).eval()
        randomise(self.video)
        image_config = Sam2Config(
            vision_config=config.vision_config.to_dict(),
            prompt_encoder_config=config.prompt_encoder_config.to_dict(),
            mask_decoder_config=config.mask_decoder_config.to_dict(),
        )
        self.image = Sam2Model(image_config).eval()
        assert self.image.load_state_dict(self.video.state_dict(), strict=False).missing_keys == []
        ours = ModelConfig(**{**vars(CONFIG), "version": version})
        self.ours = Model("parity", load_weights(blank_network(ours), from_transformers(self.video.state_dict())))
        self.pictures = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
        self.levels = Levels(*(level[:1] for level in self.ours.encode_image(self.pictures)))


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    """Numbers that make every part of the network matter, norms near one, and no part explode."""
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for key, tensor in state.items():
        noise = torch.randn(tensor.shape, generator=generator)
        norm = "layer_norm" in key and key.endswith("weight")
        fan_in = max(1, tensor[0].numel() if tensor.ndim > 1 else 1)
        tensor.copy_(1 + 0.1 * noise if norm else noise * (fan_in**-0.5 if tensor.ndim > 1 else 0.2))
    state[THEIR_MATRIX_TWIN].copy_(state[THEIR_MATRIX])


@pytest.fixture(scope="module", params=["2.0", "2.1"])
def pair(request: pytest.FixtureRequest) -> Pair:
    with torch.no_grad():
        return Pair(request.param)


ONE_VERSION = pytest.mark.parametrize("pair", ["2.1"], indirect=True)
"""For what is the same in 2.0 and 2.1."""


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.no_grad():
        yield


def to_maps(tokens: torch.Tensor) -> torch.Tensor:
    """(h * w, N, C) as transformers has it -> (N, C, h, w)"""
    side = int(tokens.shape[0] ** 0.5)
    return tokens.permute(1, 2, 0).unflatten(2, (side, side))


def prompt_tokens(points: Any = (), labels: Any = (), boxes: Any = None, masks: Any = None) -> PromptTokens:
    """Points (N, P, 2), labels (N, P), boxes (N, 4) and mask logits (N, 1, S/4, S/4) with the padding token."""
    count = len(masks) if masks is not None else len(boxes) if boxes is not None else len(points)
    coordinates, kinds = [torch.zeros(count, 0, 2)], [torch.zeros(count, 0, dtype=torch.long)]
    if boxes is not None:
        coordinates.append(boxes.unflatten(1, (2, 2)))
        kinds.append(torch.tensor([2, 3]).expand(count, 2))
    if len(points):
        coordinates.append(points)
        kinds.append(labels)
    padding = 1 if boxes is not None or len(points) else 2
    coordinates.append(torch.zeros(count, padding, 2))
    kinds.append(torch.full((count, padding), -1))
    return PromptTokens(torch.cat(coordinates, 1), torch.cat(kinds, 1), masks=masks)


POINTS = torch.tensor([[[20.0, 30.0], [50.5, 63.0]], [[3.0, 60.0], [31.0, 1.0]], [[37.0, 38.0], [0.0, 0.0]]])
LABELS = torch.tensor([[1, 0], [1, 1], [0, 1]])
BOXES = torch.tensor([[10.0, 20.0, 60.0, 50.0], [0.0, 0.0, 63.0, 63.0], [30.5, 40.5, 32.0, 60.0]])
MASKS = 5 * torch.randn(1, 1, SIZE // 4, SIZE // 4, generator=torch.Generator().manual_seed(2))

PROMPTS = {
    "one point": {"points": POINTS[:, :1], "labels": LABELS[:, :1]},
    "points": {"points": POINTS, "labels": LABELS},
    "boxes": {"boxes": BOXES},
    "boxes and points": {"points": POINTS, "labels": LABELS, "boxes": BOXES},
    "mask": {"masks": MASKS},
    "mask and point": {"points": POINTS[:1, :1], "labels": LABELS[:1, :1], "masks": MASKS},
}


def test_pictures_become_the_same_levels(pair: Pair):
    levels = pair.ours.encode_image(pair.pictures)
    for theirs in (pair.video, pair.image):
        for ours, tokens in zip(levels, theirs.get_image_features(pair.pictures).fpn_hidden_states, strict=True):
            torch.testing.assert_close(ours, to_maps(tokens), **TOLERANCE)
    assert levels.stride16.std() > 0.1


@ONE_VERSION
@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_prompts_become_the_same_masks(pair: Pair, prompts: dict[str, torch.Tensor]):
    features = pair.ours.attend_memory(pair.levels.stride16, no_memories(pair.ours))
    ours = pair.ours.decode_masks(features, pair.levels, prompt_tokens(**prompts))
    for multimask, chosen in ((False, slice(0, 1)), (True, slice(1, 4))):
        theirs = pair.image(
            image_embeddings=[pair.levels.stride4, pair.levels.stride8, features],
            multimask_output=multimask,
            **{f"input_{name}": value if name == "masks" else value[None] for name, value in prompts.items()},
        )
        torch.testing.assert_close(ours.logits[:, chosen], theirs.pred_masks[0], **TOLERANCE)
        torch.testing.assert_close(ours.iou[:, chosen], theirs.iou_scores[0], **TOLERANCE)
        torch.testing.assert_close(ours.presence, theirs.object_score_logits[0, :, 0], **TOLERANCE)
    assert ours.logits.std() > 0.1


@ONE_VERSION
def test_a_picture_and_a_click_become_the_same_mask(pair: Pair):
    theirs = pair.image(
        pixel_values=pair.pictures[:1], input_points=POINTS[None, :1, :1], input_labels=LABELS[None, :1, :1]
    )
    features = pair.ours.attend_memory(pair.levels.stride16, no_memories(pair.ours))
    ours = pair.ours.decode_masks(features, pair.levels, prompt_tokens(POINTS[:1, :1], LABELS[:1, :1]))
    torch.testing.assert_close(ours.logits[:, 1:], theirs.pred_masks[0], **TOLERANCE)


@pytest.mark.parametrize("multimask", [False, True], ids=["one mask", "three masks"])
def test_pointers_are_the_same(pair: Pair, multimask: bool):
    levels, point, label = pair.levels, POINTS[:1, :1], LABELS[:1, :1]
    theirs = pair.video._single_frame_forward(
        image_embeddings=list(levels), input_points=point[None], input_labels=label[None], multimask_output=multimask
    )
    ours = pair.ours.decode_masks(levels.stride16, levels, prompt_tokens(point, label))
    best = 1 + int(ours.iou[0, 1:].argmax()) if multimask else 0
    pointer = ours.pointers[:, best] if ours.presence > 0 else pair.ours.absent_pointer
    torch.testing.assert_close(pointer, theirs.object_pointer[0], **TOLERANCE)


def test_memories_are_attended_the_same(pair: Pair):
    generator = torch.Generator().manual_seed(3)
    memories = torch.randn(2, 3, MEMORY_WIDTH, CELLS, CELLS, generator=generator)
    pointers = torch.randn(2, 4, WIDTH, generator=generator)
    slots, offsets, longest = [6, 0, 2], [3, 1, -2, 5], 16
    vision = pair.video.get_image_features(pair.pictures[:1])
    code = pair.video.memory_encoder.position_encoding((1, MEMORY_WIDTH, CELLS, CELLS), memories.device, memories.dtype)
    kept = [
        {"maskmem_features": to_tokens(memories[:, index]), "maskmem_pos_enc": to_tokens(code.expand(2, -1, -1, -1))}
        for index in range(3)
    ]
    entries = [(0 if slot == 6 else slot + 1, memory) for slot, memory in zip(slots, kept, strict=True)]
    tokens, codes = pair.video._build_memory_attention_inputs(entries, memories.device)
    pointer_tokens, pointer_codes = pair.video._process_object_pointers(
        offsets, list(pointers.unbind(1)), longest, 2, WIDTH, memories.device
    )
    theirs = pair.video.memory_attention(
        current_vision_features=vision.fpn_hidden_states[-1].expand(-1, 2, -1),
        current_vision_position_embeddings=vision.fpn_position_encoding[-1].expand(-1, 2, -1),
        memory=torch.cat([*tokens, pointer_tokens]),
        memory_posision_embeddings=torch.cat([*codes, pointer_codes]),
        num_object_pointer_tokens=len(pointer_tokens),
    )
    bank = MemoryBank(
        memories,
        torch.tensor(slots).expand(2, -1),
        pointers,
        (torch.tensor(offsets) / (longest - 1)).expand(2, -1),
    )
    ours = pair.ours.attend_memory(pair.levels.stride16, bank)
    torch.testing.assert_close(to_tokens(ours), theirs.reshape(2, CELLS * CELLS, WIDTH).transpose(0, 1), **TOLERANCE)


def to_tokens(maps: torch.Tensor) -> torch.Tensor:
    """(N, C, h, w) -> (h * w, N, C)"""
    return maps.flatten(2).permute(2, 0, 1)


@pytest.mark.parametrize("presence", [3.0, -3.0], ids=["present", "absent"])
def test_memories_are_encoded_the_same(pair: Pair, presence: float):
    logits = 4 * torch.randn(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
    levels = pair.levels
    masks = logits.sigmoid() * 20 - 10
    ours = pair.ours.encode_memory(levels.stride16, masks, torch.tensor([presence]))
    plain, _ = pair.video.memory_encoder(levels.stride16, masks)
    mark = pair.video.occlusion_spatial_embedding_parameter
    theirs = plain if presence > 0 or mark is None else plain + mark[:, :, None, None]
    torch.testing.assert_close(ours, theirs, **TOLERANCE)
    rounded, _ = pair.video._encode_new_memory(
        to_tokens(levels.stride16), logits, torch.tensor([[presence]]), is_mask_from_pts=False
    )
    torch.testing.assert_close(to_tokens(ours), rounded.float(), atol=1e-5, rtol=2**-8)  # they keep bfloat16
