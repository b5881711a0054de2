"""The two-way table of names: every key used exactly once, for all published models, as transformers has them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from transformers import Sam2VideoConfig, Sam2VideoModel

from masklet.checkpoints import names
from masklet.checkpoints.load import blank_network
from masklet.errors import CheckpointError
from masklet.nn import VARIANTS, HieraConfig, ModelConfig

STATEDICTS = Path(__file__).parents[1] / "golden/statedict"

POINTS = names.OUR_POINTS


def golden_state(config: ModelConfig) -> dict[str, torch.Tensor]:
    """The published keys and shapes, without numbers."""
    family, size = config.name.split("-", maxsplit=1)
    shapes = json.loads((STATEDICTS / f"{family}_hiera_{size.replace('-', '_')}.json").read_text())
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


def their_state(config: ModelConfig) -> dict[str, torch.Tensor]:
    """The keys and shapes of `Sam2VideoModel`, without numbers."""
    trunk = config.encoder
    assert isinstance(trunk, HieraConfig)
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": trunk.width,
        "num_attention_heads": trunk.heads,
        "blocks_per_stage": list(trunk.depths),
        "embed_dim_per_stage": list(trunk.widths),
        "num_attention_heads_per_stage": [trunk.heads * 2**stage for stage in range(4)],
        "window_size_per_stage": list(trunk.windows),
        "global_attention_blocks": list(trunk.global_blocks),
        "window_positional_embedding_background_size": [trunk.background] * 2,
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": list(reversed(trunk.widths)),
    }
    is_21 = config.version == "2.1"
    with torch.device("meta"):
        model = Sam2VideoModel(
            Sam2VideoConfig(
                vision_config=vision,
                enable_occlusion_spatial_embedding=is_21,
                enable_temporal_pos_encoding_for_object_pointers=is_21,
            )
        )
    return model.state_dict()


def shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def fitting(key: str, side: int, family: str) -> list[str]:
    """The names of all rules that a key fits."""
    return [
        rule[side]
        for rule in names.RULES[family]
        if re.fullmatch(re.escape(rule[side]).replace(r"\#", r"\d+").replace(r"\*", ".+"), key)
    ]


@pytest.mark.parametrize("name", [name for name in VARIANTS if name.startswith("sam2")])
def test_published_names_are_those_of_transformers_and_back(name: str):
    config = VARIANTS[name]
    ours, theirs = golden_state(config), their_state(config)
    assert shapes(names.to_transformers(ours)) == shapes(theirs)
    assert shapes(names.from_transformers(theirs)) == shapes(ours)


def test_every_key_fits_one_rule_and_every_rule_a_key():
    ours, theirs = golden_state(VARIANTS["sam2.1-tiny"]), their_state(VARIANTS["sam2.1-tiny"])
    for side, keys in enumerate((set(ours) - set(POINTS), set(theirs) - {names.THEIR_POINTS, names.THEIR_MATRIX_TWIN})):
        found = {key: fitting(key, side, "sam2") for key in keys}
        assert {key: rules for key, rules in found.items() if len(rules) != 1} == {}
        assert {rules[0] for rules in found.values()} == {rule[side] for rule in names.RULES["sam2"]}


def test_every_key_of_edgetam_fits_one_rule():
    found = {key: fitting(key, 0, "edgetam") for key in blank_network(VARIANTS["edgetam"]).state_dict()}
    assert {key for key, rules in found.items() if len(rules) != 1} == set(POINTS)


def test_values_arrive_where_they_belong():
    ours = {key: torch.full(tensor.shape, float(index)) for index, (key, tensor) in enumerate(small_state().items())}
    theirs = names.to_transformers(ours)
    assert torch.equal(theirs[names.THEIR_POINTS], torch.cat([ours[key] for key in POINTS]))
    assert torch.equal(theirs[names.THEIR_MATRIX], theirs[names.THEIR_MATRIX_TWIN])
    back = names.from_transformers(theirs)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[key], ours[key]) for key in ours)


def small_state() -> dict[str, torch.Tensor]:
    """The published keys, all tensors cut to four numbers at most."""
    state = golden_state(VARIANTS["sam2.1-tiny"])
    return {key: torch.zeros((1, 4) if key in POINTS else (2,)) for key in state}


def test_one_matrix_is_enough_and_two_must_agree():
    theirs = names.to_transformers(small_state())
    matrix = theirs.pop(names.THEIR_MATRIX)
    assert names.from_transformers(theirs).keys() == small_state().keys()
    with pytest.raises(CheckpointError, match="differ, but there is one matrix"):
        names.from_transformers(theirs | {names.THEIR_MATRIX: matrix + 1})


def test_keys_without_a_place_are_named():
    extra = {f"vision_encoder.neck.norm{index}": torch.zeros(1) for index in range(4)}
    with pytest.raises(CheckpointError, match=r"no place for 4 keys \(vision_encoder\.neck\.norm0, .*, \.\.\.\)$"):
        names.from_transformers(names.to_transformers(small_state()) | extra)
    with pytest.raises(CheckpointError, match=r"no place for 1 key \(image_encoder\.trunk\.stem\.0\.0\.weight\)$"):
        names.to_transformers(small_state() | {"image_encoder.trunk.stem.0.0.weight": torch.zeros(1)})


def test_points_must_be_four():
    theirs = names.to_transformers(small_state())
    with pytest.raises(CheckpointError, match=r"shape \(3, 4\); 4 rows"):
        names.from_transformers(theirs | {names.THEIR_POINTS: torch.zeros(3, 4)})
    ours = small_state()
    del ours[POINTS[2]]
    with pytest.raises(CheckpointError, match=r"lacks sam_prompt_encoder\.point_embeddings\.2\.weight"):
        names.to_transformers(ours)
