"""Every stage of the network against recorded values of the reference: float32, CPU, limits of the golden README."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from masklet.nn import Levels, MemoryBank, Network, PromptTokens
from masklet.nn.positions import sine_ages
from tests.conftest import Arrays, read_arrays, read_json, small_network

DECODER_CASES = read_arrays("small/mask_decoder.npz").cases()
CONDITIONING: dict[str, Any] = read_json("small/memory_conditioning.json")


def close(ours: Tensor, golden: Tensor, limit: float) -> None:
    torch.testing.assert_close(ours, golden, rtol=0, atol=limit)


def with_padding_point(points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The published prompt encoder appends one point that is none; ours is given it."""
    count = points.shape[0]
    points = torch.cat((points, torch.zeros(count, 1, 2)), dim=1)
    return points, torch.cat((labels.long(), torch.full((count, 1), -1)), dim=1)


def test_trunk_stages(small: Network, golden: Callable[[str], Arrays]) -> None:
    hiera = golden("small/hiera.npz")
    trunk = small.image_encoder.trunk
    (position,) = trunk.tables()
    close(position, hiera["pos_embed_BHWC"], 5e-5)
    for stage, ours in enumerate(trunk(hiera["input"]), start=1):
        close(ours, hiera[f"stage{stage}_BCHW"], 5e-5)


def test_levels_and_their_codes(small: Network, golden: Callable[[str], Arrays]) -> None:
    fpn = golden("small/fpn.npz")
    levels = small.encode_image(golden("small/hiera.npz")["input"])
    close(levels.stride4, fpn["conv_s0_out"], 5e-5)
    close(levels.stride8, fpn["conv_s1_out"], 5e-5)
    close(levels.stride16, fpn["fpn2_BCHW"], 5e-5)
    feature_code, memory_code, cos, sin, *_ = small.memory_attention.tables()
    close(feature_code, fpn["pos2_BCHW"][0], 5e-5)
    close(memory_code, golden("small/memory_encoder.npz")["maskmem_pos_enc"][0], 5e-5)
    attention = golden("small/memory_attention.npz")
    close(cos, attention["rope_cos"], 1e-6)
    close(sin, attention["rope_sin"], 1e-6)
    ages = attention["sine_pe_1d_input"] / 15
    close(sine_ages(ages, 64), attention["sine_pe_1d_dim64_of_input_over_15"], 5e-5)
    close(small.code_ages(ages), attention["obj_ptr_tpos_proj_out"], 5e-5)


def test_frame_that_remembers_nothing(small: Network, golden: Callable[[str], Arrays]) -> None:
    fpn = golden("small/fpn.npz")
    nothing = MemoryBank(
        torch.zeros(1, 0, 16, 12, 12), torch.zeros(1, 0).long(), torch.zeros(1, 0, 64), torch.zeros(1, 0)
    )
    close(small.attend_memory(fpn["fpn2_BCHW"], nothing), fpn["image_embed_plus_no_mem"], 5e-5)


@pytest.mark.parametrize("case", ["one_positive", "mixed_labels_pad", "box_as_points", "out_of_image_points"])
def test_points_as_tokens(small: Network, golden: Callable[[str], Arrays], case: str) -> None:
    arrays = golden("small/prompt_encoder.npz")
    points, labels = with_padding_point(arrays[f"{case}/points"], arrays[f"{case}/labels"])
    sparse, dense, _ = small.sam_prompt_encoder(PromptTokens(points, labels))
    close(sparse, arrays[f"{case}/sparse"], 5e-5)
    close(dense[:, :, 0, 0], arrays[f"{case}/dense_at_0_0"][:1], 5e-5)


def test_box_corners_without_a_padding_point(small: Network, golden: Callable[[str], Arrays]) -> None:
    arrays = golden("small/prompt_encoder.npz")
    corners = arrays["box_argument/boxes"].unflatten(1, (2, 2))
    sparse = small.sam_prompt_encoder.embed_points(corners, torch.tensor([[2, 3], [2, 3]]))
    close(sparse, arrays["box_argument/sparse"], 5e-5)


@pytest.mark.parametrize("case", ["mask_only", "point_and_mask"])
def test_masks_as_a_map(small: Network, golden: Callable[[str], Arrays], case: str) -> None:
    arrays = golden("small/prompt_encoder.npz")
    none = torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.int64)
    _, dense, _ = small.sam_prompt_encoder(PromptTokens(*none, masks=arrays[f"{case}/masks"]))
    close(dense, arrays[f"{case}/dense"], 5e-5)


def test_code_of_the_cells(small: Network, golden: Callable[[str], Arrays]) -> None:
    (grid,) = small.sam_prompt_encoder.tables()
    close(grid.T.reshape(1, 64, 12, 12), golden("small/prompt_encoder.npz")["dense_pe"], 5e-5)


@pytest.mark.parametrize("case", DECODER_CASES)
def test_decoder(small: Network, golden: Callable[[str], Arrays], case: str) -> None:
    arrays = golden("small/mask_decoder.npz")
    points, labels = with_padding_point(arrays[f"{case}/points"], arrays[f"{case}/labels"])
    masks = arrays.get(f"{case}/mask_input")
    levels = Levels(arrays["high_res_s0"], arrays["high_res_s1"], arrays["image_embed"])
    decoded = small.decode_masks(arrays["image_embed"], levels, PromptTokens(points, labels, masks=masks))
    close(decoded.logits, arrays[f"{case}/masks4"], 5e-4)
    close(decoded.iou, arrays[f"{case}/iou4"], 5e-4)
    close(decoded.presence, arrays[f"{case}/object_score_logits"][:, 0], 5e-4)
    close(decoded.pointers, small.obj_ptr_proj(arrays[f"{case}/mask_tokens"]), 5e-4)


@pytest.mark.parametrize("case", ["sigmoid_present", "sigmoid_absent_second", "binarised_present"])
def test_memory_encoder(small: Network, golden: Callable[[str], Arrays], case: str) -> None:
    arrays = golden("small/memory_encoder.npz")
    logits = arrays["pred_masks_high_res"]
    masks = (logits > 0).float() if case.startswith("binarised") else logits.sigmoid()
    presence = arrays[f"{case}/object_score_logits"][:, 0]
    memory = small.encode_memory(arrays["pix_feat"], masks * 20 - 10, presence)
    close(memory, arrays[f"{case}/maskmem_features"], 5e-4)


def conditioning_bank(case: str, arrays: Arrays, pieces: int = 4) -> MemoryBank:
    """The bank of one recorded scenario: which frames, which slots, which pointers."""
    facts = CONDITIONING[case]
    span = min(facts["n"], 16) - 1
    ages = [(facts["frame"] - f) * (-1 if facts["rev"] else 1) / span for f in facts["object_pointer_frames_in_order"]]
    if facts["opt"].get("use_signed_tpos_enc_to_obj_ptrs") is False:
        ages = [abs(age) for age in ages]
    return MemoryBank(
        torch.stack([arrays[f"bank/maskmem_{f:02d}"][0] for f in facts["spatial_memory_frames_in_order"]])[None],
        torch.tensor([facts["maskmem_tpos_enc_index"]]),
        torch.stack([arrays[f"bank/obj_ptr_{f:02d}"][0] for f in facts["object_pointer_frames_in_order"]])[None],
        torch.tensor([ages]),
    )


@pytest.mark.parametrize("case", [case for case in CONDITIONING if not CONDITIONING[case].get("init")])
def test_memory_attention(golden: Callable[[str], Arrays], case: str) -> None:
    options = CONDITIONING[case]["opt"]
    frames = options.get("num_maskmem", 7)
    network = small_network(
        memory_frames=frames, version="2.0" if options.get("add_tpos_enc_to_obj_ptrs") is False else "2.1"
    )
    arrays = golden("small/memory_conditioning.npz")
    bank = conditioning_bank(case, arrays)
    conditioned = network.attend_memory(golden("small/fpn.npz")["fpn2_BCHW"], bank)
    close(conditioned, arrays[f"{case}/out"], 5e-5)
