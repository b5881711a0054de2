"""The first Segment Anything gives what transformers' `SamModel` gives, with equal weights; and follows by masks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import SamConfig, SamModel

from masklet.checkpoints import load_model, names, save_model
from masklet.checkpoints.load import blank_network, load_weights
from masklet.compat.sam1 import sam_model_registry
from masklet.engines.torch import Model
from masklet.errors import ConfigError
from masklet.export import export_model
from masklet.image.predictor import no_memories
from masklet.nn import VARIANTS, HieraConfig, ModelConfig, Network
from masklet.nn.config import ViTConfig
from masklet.video import VideoTracker
from tests.checkpoints.test_transformers_parity import BOXES, LABELS, POINTS, TOLERANCE, prompt_tokens
from tests.seeded import seeded

SIZE, WIDTH, CELLS = 128, 64, 8
CONFIG = ModelConfig(
    name="parity",
    encoder=ViTConfig(width=32, heads=2, depth=3, global_blocks=(1,), window=5, grid=CELLS),
    version="1",
    motion="flow",
    image_size=SIZE,
    width=WIDTH,
    memory_width=16,
    decoder_mlp=96,
    head_width=48,
)
MASKS = 5 * torch.randn(3, 1, SIZE // 4, SIZE // 4, generator=torch.Generator().manual_seed(2))


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def theirs() -> SamModel:
    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": SIZE,
        "window_size": 5,
        "global_attn_indexes": [1],
        "output_channels": WIDTH,
        "mlp_dim": 128,
    }
    decoder = {"hidden_size": WIDTH, "mlp_dim": 96, "iou_head_hidden_dim": 48}
    prompts = {"hidden_size": WIDTH, "image_size": SIZE, "image_embedding_size": CELLS}
    vision["num_pos_feats"] = WIDTH // 2
    model = SamModel(SamConfig(vision_config=vision, mask_decoder_config=decoder, prompt_encoder_config=prompts)).eval()
    state = seeded(model.state_dict())
    state[names.THEIR_MATRIX_TWIN] = state[names.THEIR_MATRIX]
    model.load_state_dict(state)
    return model


@pytest.fixture(scope="module")
def ours(theirs: SamModel) -> Model:
    state = names.from_transformers(theirs.state_dict())
    return Model("parity", load_weights(blank_network(CONFIG), state))


PROMPTS: dict[str, dict[str, torch.Tensor]] = {
    "points": {"points": POINTS, "labels": LABELS},
    "boxes": {"boxes": BOXES},
    "points and masks": {"points": POINTS, "labels": LABELS, "masks": MASKS},
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_a_picture_and_prompts_become_the_same_masks(
    theirs: SamModel, ours: Model, prompts: dict[str, torch.Tensor]
) -> None:
    picture = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    levels = ours.encode_image(picture)
    features = ours.attend_memory(levels.stride16, no_memories(ours))
    answer = ours.decode_masks(features, levels, prompt_tokens(**prompts))
    for multimask, chosen in ((False, slice(0, 1)), (True, slice(1, 4))):
        for n in range(3):  # their masks of several objects must be one
            asked = {f"input_{key}": value[None, n : n + 1] for key, value in prompts.items() if key != "masks"}
            if "masks" in prompts:
                asked["input_masks"] = prompts["masks"][n : n + 1]
            wanted = theirs(pixel_values=picture, multimask_output=multimask, **asked)
            torch.testing.assert_close(answer.logits[n, chosen], wanted.pred_masks[0, 0], **TOLERANCE)
            torch.testing.assert_close(answer.iou[n, chosen], wanted.iou_scores[0, 0], **TOLERANCE)
    assert answer.logits.std() > 0.05


@pytest.mark.parametrize("name", ["sam1-vit-b", "sam1-vit-l", "sam1-vit-h"])
def test_names_and_shapes_are_those_of_transformers(name: str) -> None:
    trunk = VARIANTS[name].encoder
    assert isinstance(trunk, ViTConfig)
    vision = {
        "hidden_size": trunk.width,
        "num_hidden_layers": trunk.depth,
        "num_attention_heads": trunk.heads,
        "global_attn_indexes": list(trunk.global_blocks),
    }
    with torch.device("meta"):
        state = SamModel(SamConfig(vision_config=vision)).state_dict()
    expected = blank_network(VARIANTS[name]).state_dict()
    found = names.from_transformers(state)
    assert {key: tensor.shape for key, tensor in found.items()} == {k: t.shape for k, t in expected.items()}
    assert names.to_transformers(found).keys() == state.keys()


def test_a_published_file_and_a_snapshot_are_known_by_keys_and_shapes(tmp_path: Path) -> None:
    state = {
        key: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
        for key, tensor in blank_network(VARIANTS["sam1-vit-b"]).state_dict().items()
    }
    published = names.to_first(state)
    assert "image_encoder.blocks.11.attn.rel_pos_h" in published
    assert "mask_decoder.transformer.layers.1.mlp.lin2.bias" in published
    torch.save(published, tmp_path / "sam_vit_b_01ec64.pth")
    assert load_model(tmp_path / "sam_vit_b_01ec64.pth", device="cpu").name == "sam1-vit-b"


def test_mobile_sam_is_known_and_its_classifier_is_left_out(tmp_path: Path) -> None:
    state = blank_network(VARIANTS["mobile-sam"]).state_dict()
    published = names.to_first({key: torch.zeros(tensor.shape, dtype=tensor.dtype) for key, tensor in state.items()})
    assert "image_encoder.layers.2.blocks.5.attn.attention_biases" in published
    published |= {"image_encoder.norm_head.weight": torch.zeros(320), "image_encoder.head.bias": torch.zeros(1000)}
    torch.save(published, tmp_path / "mobile_sam.pt")
    assert load_model(tmp_path / "mobile_sam.pt", device="cpu").name == "mobile-sam"
    assert sam_model_registry["vit_t"](checkpoint=tmp_path / "mobile_sam.pt").engine.name == "mobile-sam"


def test_a_model_is_saved_and_loaded_in_both_namings(ours: Model, theirs: SamModel, tmp_path: Path) -> None:
    save_model(ours, tmp_path / "ours.safetensors")
    loaded = load_model(tmp_path / "ours.safetensors", device="cpu")
    assert (loaded.config, loaded.digest) == (CONFIG, ours.digest)
    state = names.to_transformers(ours.network.state_dict())
    assert all(torch.equal(state[key], tensor) for key, tensor in theirs.state_dict().items())
    back = names.from_first(names.to_first(ours.network.state_dict()))
    assert back.keys() == ours.network.state_dict().keys()


def test_an_object_is_followed_by_its_mask(ours: Model) -> None:
    """With random weights no mask is right; what is tested is that each frame is asked by the mask before it."""
    frames = np.random.default_rng(0).integers(0, 255, (4, 80, 80, 3), dtype=np.uint8)
    asked = []

    class Listening(Model):
        def decode_masks(self, features: Any, levels: Any, prompts: Any) -> Any:
            asked.append(prompts)
            return super().decode_masks(features, levels, prompts)

    with VideoTracker(frames, Listening("parity", ours.network)) as tracker:
        tracker.add_points(frame=0, object=1, points=[(40, 40)])
        results = list(tracker.propagate())
    assert len(results) == 4
    assert results[0].objects[1].mask.any()
    followed = [prompts for prompts in asked if prompts.masks is not None and not (prompts.labels >= 0).any()]
    assert len(followed) == 3
    answer = ours.decode_masks(*picture_of(ours, frames[1]), followed[0])
    box = followed[0]._replace(
        points=torch.cat((followed[0].points, corners(followed[0].masks[0, 0] > 0)), dim=1),
        labels=torch.cat((followed[0].labels, torch.tensor([[2, 3]])), dim=1),
    )
    torch.testing.assert_close(ours.decode_masks(*picture_of(ours, frames[1]), box).logits, answer.logits)


def picture_of(model: Model, frame: np.ndarray) -> tuple[torch.Tensor, Any]:
    picture = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(int(frame[0, 0, 0])))
    levels = model.encode_image(picture)
    return levels.stride16, levels


def corners(mask: torch.Tensor) -> torch.Tensor:
    """(1, 2, 2) the box around a mask, in pixels of the model's square."""
    rows, columns = mask.nonzero().T
    found = [[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]]
    return 4.0 * torch.tensor(found)[None]


def test_a_followed_object_without_a_mask_is_absent(ours: Model) -> None:
    features, levels = picture_of(ours, np.zeros((1, 1, 3), np.uint8))
    tokens = prompt_tokens(points=torch.zeros(2, 0, 2), labels=torch.zeros(2, 0, dtype=torch.long))
    masks = torch.stack((torch.full((1, 32, 32), -5.0), torch.full((1, 32, 32), 5.0)))
    found = ours.decode_masks(
        features, levels, tokens._replace(points=torch.zeros(2, 2, 2), labels=torch.full((2, 2), -1), masks=masks)
    )
    assert found.presence[0] < 0 < found.presence[1]


def test_other_sizes_have_stretched_codes(ours: Model) -> None:
    small = dataclasses.replace(CONFIG, image_size=96)
    network = load_weights(blank_network(small), dict(ours.network.state_dict()))
    assert network.encode_image(torch.zeros(1, 3, 96, 96)).stride16.shape == (1, WIDTH, 6, 6)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="version '1' does not go with an encoder of kind 'hiera'"):
        dataclasses.replace(CONFIG, encoder=HieraConfig(16, 1, (1, 1, 2, 1), (3,)))
    with pytest.raises(ConfigError, match="parity has no memory; this needs a model of SAM 2"):
        Network(CONFIG)


def test_it_is_not_exported(ours: Model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parity has no memory, which exported models need"):
        export_model(ours, tmp_path / "graphs")
