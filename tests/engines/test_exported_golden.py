"""Recorded values of the reference, through the graphs of each float32 engine, within ten times PyTorch's limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from masklet.checkpoints.load import load_torch_model
from masklet.checkpoints.models import open_exported
from masklet.engines.arrays import to_numpy
from masklet.engines.graphs import ENGINES, GraphEngine
from masklet.engines.torch import Model
from masklet.export import export_model, package, write_graphs
from masklet.nn import Levels, PromptTokens
from masklet.video import VideoTracker
from tests.conftest import read_arrays, small_network
from tests.nn.test_golden import CONDITIONING, DECODER_CASES, conditioning_bank, with_padding_point
from tests.video.test_golden_video import RUNS, clip, compare, options_of, recorded

pytestmark = pytest.mark.slow

SLACK = 10


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    model, folder = Model("golden-small", small_network()), tmp_path_factory.mktemp("golden") / "graphs"
    write_graphs(model, folder)
    return model, folder


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, graphs: tuple[Model, Path]) -> GraphEngine:
    model, folder = graphs
    package(model, folder, folder.parent / request.param, engine=request.param)
    return open_exported(folder.parent / request.param)


def close(ours: Any, golden: torch.Tensor, limit: float) -> None:
    np.testing.assert_allclose(ours, golden.numpy(), rtol=0, atol=SLACK * limit)


def numpy(values: Any) -> Any:
    """Recorded tensors as the graphs take them, alone or in a named tuple."""
    if isinstance(values, tuple):
        return type(values)(*map(numpy, values))
    return None if values is None else to_numpy(values)


def test_levels(engine: GraphEngine) -> None:
    fpn = read_arrays("small/fpn.npz")
    levels = engine.encode_image(numpy(read_arrays("small/hiera.npz")["input"]))
    for ours, name in zip(levels, ("conv_s0_out", "conv_s1_out", "fpn2_BCHW"), strict=True):
        close(ours, fpn[name], 5e-5)


@pytest.mark.parametrize("case", [name for name, facts in CONDITIONING.items() if not facts.get("init")])
def test_memory_attention(engine: GraphEngine, case: str) -> None:
    options = CONDITIONING[case]["opt"]
    if options.get("num_maskmem", 7) != 7 or options.get("add_tpos_enc_to_obj_ptrs") is False:
        pytest.skip("recorded with another network")
    arrays = read_arrays("small/memory_conditioning.npz")
    conditioned = engine.attend_memory(
        numpy(read_arrays("small/fpn.npz")["fpn2_BCHW"]), numpy(conditioning_bank(case, arrays))
    )
    close(conditioned, arrays[f"{case}/out"], 5e-5)


@pytest.mark.parametrize("case", DECODER_CASES)
def test_decoder(engine: GraphEngine, case: str) -> None:
    arrays = read_arrays("small/mask_decoder.npz")
    points, labels = with_padding_point(arrays[f"{case}/points"], arrays[f"{case}/labels"])
    levels = Levels(arrays["high_res_s0"], arrays["high_res_s1"], arrays["image_embed"])
    prompts = PromptTokens(points, labels, masks=arrays.get(f"{case}/mask_input"))
    decoded = engine.decode_masks(numpy(levels.stride16), numpy(levels), numpy(prompts))
    close(decoded.logits, arrays[f"{case}/masks4"], 5e-4)
    close(decoded.iou, arrays[f"{case}/iou4"], 5e-4)
    close(decoded.presence, arrays[f"{case}/object_score_logits"][:, 0], 5e-4)


@pytest.mark.parametrize("case", ["sigmoid_present", "sigmoid_absent_second", "binarised_present"])
def test_memory_encoder(engine: GraphEngine, case: str) -> None:
    arrays = read_arrays("small/memory_encoder.npz")
    logits = arrays["pred_masks_high_res"]
    masks = (logits > 0).float() if case.startswith("binarised") else logits.sigmoid()
    presence = arrays[f"{case}/object_score_logits"][:, 0]
    memory = engine.encode_memory(*map(numpy, (arrays["pix_feat"], masks * 20 - 10, presence)))
    close(memory, arrays[f"{case}/maskmem_features"], 5e-4)


@pytest.mark.parametrize("run", [run for run, settings in RUNS.items() if "slots" not in settings])
def test_recorded_video_runs(engine: GraphEngine, run: str) -> None:
    frames = clip(recorded(run)[0].get("num_frames", 20))
    with VideoTracker(frames, engine, options=options_of(RUNS[run])) as tracker:
        compare(run, tracker, slack=SLACK)


@pytest.mark.parametrize("name", ENGINES)
def test_nano_is_exported_with_parity(name: str, tmp_path: Path) -> None:
    parity = export_model(load_torch_model("nano", device="cpu"), tmp_path / "nano", engine=name)  # type: ignore[arg-type]
    assert parity.lowest_iou > 0.99
    assert all(each.largest <= 1e-4 * max(each.scale, 1) for each in parity.differences)
