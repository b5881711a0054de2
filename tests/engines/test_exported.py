"""Folders of graphs: they are models like any other, and what is wrong with one is said in a sentence."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import masklet
from masklet import export
from masklet.checkpoints.load import load_torch_model
from masklet.checkpoints.models import open_exported
from masklet.cli.main import app
from masklet.engines.arrays import to_numpy
from masklet.engines.base import Engine
from masklet.engines.graphs import ENGINES
from masklet.errors import CheckpointError, ConfigError, EngineError, FormatError, MaskletError
from masklet.export import export_model
from masklet.media.frames import ArrayFrames
from masklet.nn import Decoded
from tests.engines.conftest import Graphs
from tests.engines.test_contract import clicks, pictures

pytestmark = pytest.mark.slow  # the tiny network takes over a minute to export

Exported = Callable[..., Path]


@pytest.fixture
def exported(graphs: Graphs, tmp_path: Path) -> Path:
    return graphs.packed(tmp_path / "model", "onnx")


@pytest.fixture
def traced(graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> Graphs:
    """Exports find these graphs in place of tracing the network again."""
    monkeypatch.setattr(export, "write_graphs", lambda _, folder, advance: shutil.copytree(graphs.folder, folder))
    return graphs


def clip() -> ArrayFrames:
    return ArrayFrames(np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8))


def prompted(model: object) -> masklet.VideoTracker:
    tracker = masklet.VideoTracker(clip(), model)  # type: ignore[arg-type]
    tracker.add_box(frame=0, object="a", box=(10, 10, 40, 40))
    tracker.add_mask(frame=0, object="b", mask=np.pad(np.ones((20, 20), bool), ((8, 20), (30, 14))))
    tracker.add_points(frame=1, object="c", points=[(20, 20), (50, 30)], labels=[1, 0])
    return tracker


@pytest.mark.parametrize("engine", ENGINES)
def test_a_folder_tracks_as_the_model_that_it_was_exported_from(graphs: Graphs, engine: str, tmp_path: Path) -> None:
    folder = graphs.packed(tmp_path / "model", engine, 1, 2)
    with prompted(graphs.model) as theirs, prompted(folder) as ours:
        for expected, found in zip(theirs.propagate(), ours.propagate(), strict=True):
            for name, one in expected.objects.items():
                other = found.objects[name]
                np.testing.assert_allclose(other.logits, one.logits, atol=1e-3, rtol=1e-3)
                assert other.presence == pytest.approx(one.presence, abs=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_clicks_and_boxes_in_half_precision_are_nearly_the_same(graphs: Graphs, engine: str, tmp_path: Path) -> None:
    export.package(graphs.model, graphs.folder, tmp_path / "half", engine=engine, precision="float16")
    for ours, theirs in zip(*map(decoded, (open_exported(tmp_path / "half"), graphs.model)), strict=True):
        np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=0, atol=0.01 * float(abs(theirs).max()))


def decoded(engine: Engine) -> Decoded:
    """Of a click, a box and two clicks."""
    levels = engine.encode_image(pictures(engine, 1))
    return engine.decode_masks(levels.stride16, levels, clicks(engine))


def test_a_session_goes_on_in_another_engine(graphs: Graphs, exported: Path, tmp_path: Path) -> None:
    with prompted(graphs.model) as tracker:
        expected = [result.objects["a"].logits for result in tracker.propagate()]
        tracker.save(tmp_path / "clip.masklet")
    with masklet.VideoTracker.open(tmp_path / "clip.masklet", clip(), exported) as again:
        assert np.array_equal(again.result(3).objects["a"].logits, expected[3])
        again.add_points(frame=3, object="a", points=[(12, 30)])


def change(folder: Path, **values: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def remove_graph(folder: Path) -> None:
    (folder / "decode_masks.onnx").unlink()


def alter_graph(folder: Path) -> None:
    content = bytearray((folder / "encode_memory.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "encode_memory.onnx").write_bytes(content)


DAMAGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing graph": (remove_graph, r"\S+ lacks decode_masks\.onnx, the graph of decode_masks; copy the whole .*"),
    "altered graph": (alter_graph, r"\S+encode_memory\.onnx is not the file that was exported; copy the folder .*"),
    "another version": (
        lambda folder: change(folder, format=99),
        r"\S+ holds graphs of format 99 \(masklet \S+\), and this masklet runs format 1; export the model again",
    ),
    "unknown engine": (lambda folder: change(folder, engine="abacus"), r"\S+ is no description .* export it again"),
    "other constants": (lambda folder: change(folder, constants={"nothing": [1.0]}), r"\S+ is no description .*"),
    "no counts": (lambda folder: change(folder, objects=[0]), r"\S+ is no description of .* \(objects are .*"),
    "a path that leads out": (
        lambda folder: change(folder, files={name: {"../secret": "0"} for name in export.FUNCTIONS}),
        r"\S+ lacks \.\./secret, .*",
    ),
    "text": (lambda folder: (folder / "model.json").write_text("[" * 100_000), r"\S+model\.json is no description .*"),
    "list": (lambda folder: (folder / "model.json").write_text("[]"), r"\S+model\.json is no description .*"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_folder_is_refused(exported: Path, damage: str) -> None:
    spoil, sentence = DAMAGED[damage]
    spoil(exported)
    with pytest.raises(CheckpointError) as caught:
        masklet.load_model(exported)
    assert re.fullmatch(sentence, str(caught.value)), str(caught.value)


def test_what_was_decided_when_it_was_exported(exported: Path) -> None:
    for asked, sentence in (
        ({"image_size": 128}, r"\S+ was exported for 64 pixels, not 128; export it again with --image-size 128"),
        ({"speed": "fast"}, r"\S+ runs as it was exported, not with speed fast; leave that out"),
        ({"dtype": "bfloat16", "compile": True}, r"\S+ runs as .* dtype bfloat16, compile True; leave that out"),
    ):
        with pytest.raises(ConfigError) as caught:
            masklet.load_model(exported, **asked)  # type: ignore[arg-type]
        assert re.fullmatch(sentence, str(caught.value))
    for mark, sentence in (
        ("512", r"\S+ was exported for 64 pixels, not 512; export it again with --image-size 512"),
        ("fast", r"\S+ runs as it was exported, not with speed fast; leave that out"),
    ):
        with pytest.raises(ConfigError) as caught:
            masklet.load_model(f"{exported}:{mark}")
        assert re.fullmatch(sentence, str(caught.value))
    assert masklet.load_model(f"{exported}:64").config.image_size == 64
    assert masklet.load_model(exported, image_size=64, speed="exact", dtype="float32").config.image_size == 64


@pytest.mark.parametrize(("engine", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_an_engine_that_is_not_here(
    graphs: Graphs, engine: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = graphs.packed(tmp_path / "model", engine)
    with pytest.raises(EngineError, match=r"^device 'abacus' is not here: .* (has|finds) .*cpu.*; give one of them"):
        masklet.load_model(folder, device="abacus")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError, match=rf"needs the package {package}: pip install 'masklet\[{engine}\]'$"):
        masklet.load_model(folder)


def test_graphs_cannot_learn(exported: Path) -> None:
    with pytest.raises(CheckpointError, match="no network; give the weights that it was exported from"):
        load_torch_model(exported)


def test_export_writes_what_was_compared(traced: Graphs, tmp_path: Path) -> None:
    parity = export_model(traced.model, tmp_path / "model", engine="onnx", objects=[1, 3], frames=4)
    assert min(parity.clip_iou) > 0.999
    assert {(each.function, each.objects) for each in parity.differences} == {
        ("encode_image", 1),
        *((name, count) for name in export.FUNCTIONS[1:] for count in (1, 3)),
    }
    assert all(each.largest <= 1e-4 * max(each.scale, 1) for each in parity.differences)
    written = open_exported(tmp_path / "model").exported
    assert written.objects == (1, 3)
    assert written.parity["frames"] == 4
    assert written.versions["masklet"] == masklet.__version__


def test_export_refuses_graphs_that_differ(traced: Graphs, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"IoU of 1\.0000 with PyTorch's, under 1\.1; nothing was written"):
        export_model(traced.model, tmp_path / "model", frames=3, least_iou=1.1)
    assert not list(tmp_path.iterdir())


def test_export_replaces_exports_alone(traced: Graphs, exported: Path, tmp_path: Path) -> None:
    export_model(traced.model, exported, engine="openvino", frames=0)
    assert open_exported(exported).exported.engine == "openvino"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(FormatError, match="holds no exported model; give another place"):
        export_model(traced.model, tmp_path / "mine", frames=0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"objects": [4, 0]}, "0 is no count"),
        ({"precision": "int8"}, "int8 needs --calibrate"),
        ({"calibration": Path("data")}, "nothing else does"),
    ],
)
def test_options_that_make_no_sense(graphs: Graphs, options: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(MaskletError, match=sentence):
        export_model(graphs.model, tmp_path / "model", **options)  # type: ignore[arg-type]


def test_on_the_command_line(traced: Graphs, tmp_path: Path) -> None:
    masklet.save_model(traced.model, tmp_path / "toy.safetensors")
    arguments = ["export", str(tmp_path / "toy.safetensors"), "--out", str(tmp_path / "toy"), "--least-iou", "0"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert re.search(r"decode_masks +5 +\d\.\de-\d\d", done.output)
    assert re.search(r"IoU of masks in 30 frames, by object: [01]\.\d+, [01]\.\d+; lowest", done.output)
    with pytest.raises(ConfigError, match=r"--objects is '1;4'; give whole numbers"):
        CliRunner().invoke(app, [*arguments, "--objects", "1;4"], catch_exceptions=False)
