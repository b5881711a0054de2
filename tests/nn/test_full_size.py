"""SAM 2.1 tiny as published, 1024 pixels, against recorded values: what a narrow model could hide would show here."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from masklet.checkpoints import Model
from masklet.engines.rules import normalise, pad_prompts
from masklet.nn import VARIANTS, Levels, Network
from masklet.prompts import make_prompt
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.policies import PublishedPolicy
from masklet.video.recall import RecallOptions
from tests.conftest import GOLDEN, Arrays, read_arrays, read_json

FULL = "full/sam2.1_tiny_1024"
LEARNED = {"maskmem_tpos_enc", "no_mem_embed", "no_mem_pos_enc", "no_obj_ptr", "no_obj_embed_spatial"}
TOKENS = ("iou_token", "mask_tokens", "obj_score_token", "not_a_point_embed", "no_mask_embed")
HEADS = ("output_hypernetworks_mlps", "iou_prediction_head", "pred_obj_score_head")
MASK_PATHS = ("mask_downsampler", "mask_downscaling", "mask_downsample")


def recipe(key: str, shape: tuple[int, ...]) -> Tensor:
    """The weights that the recorded values were made with; the rules stand in the JSON file."""
    x = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("positional_encoding_gaussian_matrix"):
        scale, shift = 1.0, 0.0
    elif "pos_embed" in key:
        scale, shift = 0.1, 0.0
    elif key in LEARNED:
        scale, shift = 0.2, 0.0
    elif key.endswith(tuple(f"{token}.weight" for token in TOKENS)) or "point_embeddings" in key:
        scale, shift = 0.5, 0.0
    elif key.endswith(".gamma"):
        scale, shift = 0.02, 0.2
    elif len(shape) == 1:
        scale, shift = 0.02, float(key.endswith(".weight"))
    else:
        fan_in = shape[0] if "output_upscaling" in key else math.prod(shape[1:])
        gain = 1.6 if any(name in key for name in HEADS) else 1.4 if any(name in key for name in MASK_PATHS) else 1.0
        return torch.from_numpy((gain * x / math.sqrt(fan_in)).astype(np.float32))
    weights = torch.from_numpy((scale * x + shift).astype(np.float32))
    return weights + 6 if key == "sam_mask_decoder.pred_obj_score_head.layers.2.bias" else weights


@pytest.fixture(scope="module")
def model() -> Model:
    with torch.device("meta"):
        network = Network(VARIANTS["sam2.1-tiny"])
    state = {key: recipe(key, tuple(value.shape)) for key, value in network.state_dict().items()}
    network.load_state_dict(state, assign=True)
    return Model("sam2.1-tiny", network.eval().requires_grad_(False).prepare())


@pytest.fixture(scope="module")
def facts() -> Any:
    return read_json(f"{FULL}.json")


def test_weights_are_those_of_the_recipe(model: Model, facts: Any) -> None:
    state = model.network.state_dict()
    for key, check in facts["weights_recipe"]["checks"].items():
        np.testing.assert_array_equal(state[key].flatten()[:3].numpy(), np.float32(check["first3"]), key)
        assert state[key].double().sum().item() == pytest.approx(check["sum"], abs=1e-4), key


@pytest.fixture(scope="module")
def levels(model: Model) -> Levels:
    """The picture as the image path prepares it: bilinear with antialias, in float."""
    picture = torch.from_numpy(np.array(Image.open(GOLDEN / "image/photo_cat.png").convert("RGB")))
    scaled = F.interpolate(picture.permute(2, 0, 1)[None].float() / 255, (1024, 1024), mode="bilinear", antialias=True)
    return model.encode_image(normalise(scaled))


def close(ours: Tensor, golden: Tensor, limit: float) -> None:
    torch.testing.assert_close(ours, golden, rtol=0, atol=limit)


def test_features(model: Model, levels: Levels, golden: Callable[[str], Arrays]) -> None:
    arrays = golden(f"{FULL}.npz")
    nothing = model.network.no_mem_embed.view(1, -1, 1, 1)
    close((levels.stride16 + nothing)[0, ::4, ::8, ::8], arrays["image/embed_every8"], 1e-4)
    close(levels.stride4[0, ::4, ::16, ::16], arrays["image/high_res_s0_sub"], 1e-4)
    close(levels.stride8[0, ::4, ::16, ::16], arrays["image/high_res_s1_sub"], 1e-4)


@pytest.mark.parametrize(("case", "candidates"), [("click", slice(1, 4)), ("box", slice(0, 1))])
def test_masks(
    model: Model, levels: Levels, facts: Any, golden: Callable[[str], Arrays], case: str, candidates: slice
) -> None:
    arrays, given = golden(f"{FULL}.npz"), facts[f"image/{case}"]["args"]
    prompt = make_prompt(
        (150, 226), points=given.get("point_coords"), labels=given.get("point_labels"), box=given.get("box")
    )
    tokens = pad_prompts(model, [prompt], (150, 226))
    features = levels.stride16 + model.network.no_mem_embed.view(1, -1, 1, 1)
    decoded = model.decode_masks(features, levels, tokens)
    close(decoded.iou[0, candidates], arrays[f"image/{case}/ious"], 1e-4)
    close(decoded.logits[0, candidates, ::8, ::8].clamp(-32, 32), arrays[f"image/{case}/low_res_every8"], 1e-3)


@pytest.mark.parametrize("stop", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_video(model: Model, facts: Any, stop: int) -> None:
    """The first frames of a video of three. The reference tells ages as a share of what that leaves of 15, which is 2;
    so does a policy that attends the pointers of three frames."""
    options = TrackingOptions(policy=PublishedPolicy(RecallOptions(pointers=3)), fill_holes=0)
    arrays = read_arrays(f"{FULL}.npz").arrays
    said = facts["video"]["prompt"]
    with VideoTracker(GOLDEN / "video/frames", model, options=options) as tracker:
        tracker.add_points(frame=0, object=1, points=said["points"], labels=said["labels"])
        for result, recorded in zip(tracker.propagate(stop=stop), facts["video"]["frames"][:stop], strict=True):
            seen, place = result.objects[1], f"video/f{result.frame}"
            np.testing.assert_allclose(seen.logits[::8, ::8], arrays[f"{place}/low_res_every8"], atol=2e-2, rtol=0)
            assert abs(int(seen.mask.sum()) - recorded["area"]) <= 3
            known = tracker.tracks[1].known(result.frame)
            assert known is not None
            assert known.presence == pytest.approx(recorded["object_score"], abs=2e-2)
            np.testing.assert_allclose(known.pointer.numpy(), arrays[f"{place}/obj_ptr"], atol=5e-3, rtol=0)
            memory = known.memory.float().numpy()[::4, ::8, ::8]
            np.testing.assert_allclose(memory, arrays[f"{place}/maskmem_sub"], atol=0.04, rtol=0)
