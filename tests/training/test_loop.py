"""The loop on generated shapes: it learns, goes on exactly, and says what is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from masklet.checkpoints import load_model
from masklet.errors import ConfigError, FormatError, MaskletError, TrainingError
from masklet.image import ImagePredictor
from masklet.nn import ConvNetConfig, Network
from masklet.training import loop, parallel
from masklet.training.data import read_data
from masklet.training.loop import RunOptions, train
from masklet.training.recipes import Recipe, nano, override
from masklet.training.unroll import Judged
from tests.training.shapes import TINY, picture, recipe, tiny_network, write_shapes

ROOT = Path(__file__).parents[2]


def run(folder: Path, shapes: Path, what: Recipe, *, seed: int = 0, **options: Any) -> Network:
    data = read_data([str(shapes)])
    return train(what, tiny_network(seed), data, RunOptions(folder, log_every=1, **options))


def dropping(what: Recipe) -> Recipe:
    return override(what, ["stages.*.drop_path=0.3", "stages.*.dropout=0.2"])


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_loss_falls_and_a_click_finds_the_shape(tmp_path: Path, shapes: Path) -> None:
    settings = {"feed.clip_share": 0.0, "feed.pictures": 3, "feed.picture_objects": 1, "prompts.box": 0.0}
    settings["optimizer.rate"] = 8e-3
    pictures = override(recipe(80), [f"stages.*.{name}={value}" for name, value in settings.items()])
    run(tmp_path, shapes, pictures, seed=1)  # from other weights it may take longer
    losses = [line["loss"] for line in lines(tmp_path)]
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:10])
    predictor = ImagePredictor(load_model(tmp_path / "model.safetensors"))
    rng = np.random.default_rng(99)
    found = []
    for _ in range(5):
        image, labels = picture(rng)
        y, x = np.argwhere(labels == 1).mean(axis=0)
        mask = predictor.predict(predictor.encode(image), points=[(x, y)], labels=[1]).best.masks[0]
        found.append((mask & (labels == 1)).sum() / (mask | (labels == 1)).sum())
    assert np.mean(found) > 0.6


def test_clips_teach_memory(tmp_path: Path, shapes: Path) -> None:
    before = tiny_network()
    after = run(tmp_path, shapes, override(recipe(3), ["stages.*.feed.clip_share=1.0"]))
    changed = {
        name.split(".")[0]
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(old, new)
    }
    assert {"memory_attention", "memory_encoder", "image_encoder", "sam_mask_decoder", "obj_ptr_proj"} <= changed


def test_recomputing_changes_no_weight(tmp_path: Path, shapes: Path) -> None:
    kept = run(tmp_path / "a", shapes, dropping(recipe(2)))
    again = run(tmp_path / "b", shapes, dropping(recipe(2, recompute=True)))
    for one, other in zip(kept.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_bfloat16_learns_too(tmp_path: Path, shapes: Path) -> None:
    run(tmp_path, shapes, dataclasses.replace(recipe(2), precision="bfloat16"))
    assert all(np.isfinite(line["loss"]) for line in lines(tmp_path))


@contextmanager
def stopped_before(step: int) -> Iterator[None]:
    """A run is stopped by Ctrl-C before that step, from 1."""
    learn = loop.StageRun.learn

    def stop_in_time(self: loop.StageRun, batch: Any) -> Any:
        if self.step + 1 == step:
            raise KeyboardInterrupt
        return learn(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.StageRun, "learn", stop_in_time)
        yield


@pytest.mark.parametrize("what", [recipe(6), dropping(recipe(6))], ids=["plain", "dropping"])
def test_a_run_that_stopped_goes_on_exactly(tmp_path: Path, shapes: Path, what: Recipe) -> None:
    whole = run(tmp_path / "whole", shapes, what)
    with pytest.raises(KeyboardInterrupt), stopped_before(5):
        run(tmp_path / "cut", shapes, what, save_every=3)
    cut = run(tmp_path / "cut", shapes, what, save_every=3)
    for (name, one), other in zip(whole.state_dict().items(), cut.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    for name in ("whole", "cut"):  # step 4 was done twice
        assert [line["step"] for line in lines(tmp_path / name)] == [1, 2, 3, 4, 5, 6]


RUNNER = """
import sys, torch
from pathlib import Path
from masklet.training.recipes import nano
from tests.training.shapes import recipe, tiny_network
from masklet.training.data import read_data
from masklet.training.loop import RunOptions, train
from masklet.training.recipes import override
torch.set_num_threads(1)
data, folder, steps, *settings = sys.argv[1:]
what = override(recipe(int(steps)), settings)
options = RunOptions(Path(folder), save_every=2, log_every=1, picture_every=2)
train(what, tiny_network(), read_data([data]), options)
"""


def command(*arguments: Any, processes: int = 1) -> list[str]:
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [*start, *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    file = tmp_path / "runner.py"
    file.write_text(RUNNER)
    return file


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_exactly(tmp_path: Path, shapes: Path, runner: Path) -> None:
    drops = ("stages.*.drop_path=0.2", "stages.*.dropout=0.1")
    call = command(runner, shapes, tmp_path / "killed", 16, *drops)
    child = subprocess.Popen(call, env=environment(), stderr=subprocess.DEVNULL)
    while not (tmp_path / "killed/checkpoint.pt").exists():
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(lines(tmp_path / "killed")) < 16
    subprocess.run(call, env=environment(), check=True, capture_output=True)
    whole = command(runner, shapes, tmp_path / "whole", 16, *drops)
    subprocess.run(whole, env=environment(), check=True, capture_output=True)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "ways", [{"one": (4, 1), "two": (4, 2)}, {"copies": (2, 2), "shards": (2, 2, "parallel=shards")}], ids=" and ".join
)
def test_two_processes_learn_what_one_learns_and_shards_what_copies_do(
    tmp_path: Path, shapes: Path, runner: Path, ways: dict[str, tuple[Any, ...]]
) -> None:
    for name, (steps, processes, *settings) in ways.items():
        call = command(runner, shapes, tmp_path / name, steps, *settings, processes=processes)
        done = subprocess.run(call, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    one, other = ([line["loss"] for line in lines(tmp_path / name)] for name in ways)
    np.testing.assert_allclose(one, other, rtol=1e-3)


NAN = torch.tensor(float("nan"))


def no_number(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """From here on the loss, or its gradient only, is no number."""
    judged = loop.StageRun.judged

    def spoiled(self: loop.StageRun, *given: Any) -> Judged:
        good = judged(self, *given)
        weight = next(self.network.parameters())
        ruin = NAN if where == "loss" else (weight.sum() * 0).sqrt()  # the slope of a root is infinite at 0
        return good._replace(loss=good.loss + ruin)

    monkeypatch.setattr(loop.StageRun, "judged", spoiled)


@pytest.mark.parametrize("where", ["loss", "norm of the gradient"])
def test_a_number_that_is_none_stops_and_keeps_the_batch(
    tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    no_number(monkeypatch, where)
    said = rf"the {where} is nan at step 0 of shapes; the batch is in .*failed\.pt\. Begin again in another folder,"
    with pytest.raises(TrainingError, match=said):
        run(tmp_path, shapes, recipe(2))
    kept = torch.load(tmp_path / "failed.pt", weights_only=True)
    assert kept["batch"][0].dtype == torch.uint8


def test_the_advice_after_a_number_that_is_none_can_be_followed(
    tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt), stopped_before(3):
        run(tmp_path / "run", shapes, recipe(4), save_every=1)
    with monkeypatch.context() as patch:
        no_number(patch, "loss")
        with pytest.raises(TrainingError, match=r"from .*run/model\.safetensors on"):
            run(tmp_path / "run", shapes, recipe(4))
    slower = override(recipe(1), ["stages.*.optimizer.rate=1e-4"])
    network = load_model(tmp_path / "run/model.safetensors").network.requires_grad_(True)
    data = read_data([str(shapes)])
    train(slower, network, data, RunOptions(tmp_path / "again", log_every=1))
    assert np.isfinite(lines(tmp_path / "again")[0]["loss"])


SPOILER = """
from masklet.training import loop
judged = loop.StageRun.judged
def spoiled(self, *given):
    good = judged(self, *given)
    return good._replace(loss=good.loss * float("nan")) if self.processes.rank == 1 else good
loop.StageRun.judged = spoiled
"""


@pytest.mark.slow
def test_only_the_process_whose_loss_is_no_number_keeps_its_batch(tmp_path: Path, shapes: Path) -> None:
    file = tmp_path / "spoiled.py"
    file.write_text(SPOILER + RUNNER)
    call = command(file, shapes, tmp_path / "run", 2, processes=2)
    done = subprocess.run(call, env=environment(), capture_output=True, text=True, check=False)
    assert "failed-1.pt. Begin again in another folder" in done.stderr
    assert [path.name for path in (tmp_path / "run").glob("failed*")] == ["failed-1.pt"]


@contextmanager
def room_for(size: float) -> Iterator[None]:
    """No file grows beyond so many bytes: the system refuses in the middle of a write, as on a full disk."""
    resource = pytest.importorskip("resource", reason="only Unix can bound the size of files")
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), bounds[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, shapes: Path) -> None:
    still = override(recipe(4), ["stages.*.feed.clip_share=0.0"])
    with pytest.raises(KeyboardInterrupt), stopped_before(4):
        run(tmp_path, shapes, still, save_every=3)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    size = (tmp_path / "model.safetensors").stat().st_size
    for share, said in ((0.1, "model.safetensors"), (1.1, "checkpoint.pt"), (3.0, "checkpoint.pt")):
        with pytest.raises(MaskletError, match=rf"{said} cannot be written: .*File too large"), room_for(share * size):
            run(tmp_path, shapes, still)
        assert (tmp_path / "checkpoint.pt").read_bytes() == before
        assert not [file.name for file in tmp_path.iterdir() if file.name.startswith(".")]
    run(tmp_path, shapes, still)
    assert lines(tmp_path)[-1]["step"] == 4


def test_a_run_goes_on_with_its_own_recipe_only(tmp_path: Path, shapes: Path) -> None:
    run(tmp_path, shapes, recipe(1))
    with pytest.raises(TrainingError, match=r'another recipe \("steps": 1 there, "steps": 2 here\)'):
        run(tmp_path, shapes, recipe(2))


def test_a_run_goes_on_with_its_own_data_and_first_weights_only(tmp_path: Path, shapes: Path) -> None:
    run(tmp_path / "run", shapes, recipe(1))
    fewer = write_shapes(tmp_path / "fewer", pictures=6)
    with pytest.raises(TrainingError, match=r"other data \(stills: 8 items, weight 8 there, stills: 6 items, weight 6"):
        run(tmp_path / "run", fewer, recipe(1))
    options = RunOptions(tmp_path / "run")
    pictures, films = read_data([str(shapes)])
    with pytest.raises(TrainingError, match=r"other data \(films: 2 items, weight 2 there, nothing here\)"):
        train(recipe(1), tiny_network(), [pictures], options)
    licensed = [dataclasses.replace(part, licence="open") for part in (pictures, films)]
    with pytest.raises(TrainingError, match=r"weight 8 there, stills: 8 items, weight 8, licence open here"):
        train(recipe(1), tiny_network(), licensed, options)
    with pytest.raises(TrainingError, match="began with other weights; begin with the same to go on"):
        train(recipe(1), tiny_network(seed=1), [pictures, films], options)


def test_a_run_that_is_finished_says_so_and_keeps_everything(
    tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At whatever path its data lies now."""
    first = run(tmp_path / "run", shapes, recipe(2))
    assert "finished" not in capsys.readouterr().err
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    again = run(tmp_path / "run", shutil.copytree(shapes, tmp_path / "moved"), recipe(2))
    assert "run holds a finished run; to train on, give another folder" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("what", "processes", "said"),
    [
        (
            override(recipe(2), ["stages.*.feed.clips=2"]),
            3,
            r"feed\.clips is 2: a batch of 2 clips cannot be shared by 3 processes; start at most 2",
        ),
        (
            override(recipe(2), ["stages.*.feed.clips=4"]),
            3,
            r"cannot be shared evenly by 3 processes; give a multiple, such as stages\.shapes\.feed\.clips=6",
        ),
        (
            override(nano("nano"), ["stages.clips-320.feed.clips=3"]),
            2,
            r"give a multiple, such as stages\.clips-320\.feed\.clips=4",
        ),
    ],
    ids=["too many", "not evenly", "in a stage that comes after hours"],
)
def test_batches_that_processes_cannot_share_are_told_at_once(
    tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch, what: Recipe, processes: int, said: str
) -> None:
    several = loop.Processes(0, processes, torch.device("cpu"))
    monkeypatch.setattr(loop, "join_processes", lambda device: nullcontext(several))
    with pytest.raises(TrainingError, match=said):
        run(tmp_path, shapes, what)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("stages.later.freeze=image_encodr", "no part 'image_encodr' to freeze; nearest: image_encoder"),
        ("stages.later.freeze=('image_encoder','memory_attention','')", "no part '' to freeze"),
        ("stages.later.optimizer.parts.neck=0.5", "optimizer.parts names 'neck', but no parameter's name begins so"),
        ("stages.later.image_size=100", "image_size 100 is no multiple"),
    ],
)
def test_later_stages_are_checked_before_the_first_step(tmp_path: Path, shapes: Path, setting: str, said: str) -> None:
    (first,) = recipe(1).stages
    two = dataclasses.replace(recipe(1), stages=(first, dataclasses.replace(first, name="later")))
    what = override(two, [setting])
    with pytest.raises(ConfigError, match=said):
        run(tmp_path, shapes, what)
    assert not list(tmp_path.iterdir())


def test_a_run_of_another_network(tmp_path: Path, shapes: Path) -> None:
    run(tmp_path, shapes, recipe(1))
    wider = Network(dataclasses.replace(TINY, attention_mlp=64))
    with pytest.raises(TrainingError, match="holds a run of another network that is called tiny-test too"):
        train(recipe(1), wider, read_data([str(shapes)]), RunOptions(tmp_path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_a_log_that_cannot_be_written(tmp_path: Path, shapes: Path) -> None:
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(FormatError, match=r"log\.jsonl cannot be written: No space left on device"):
        run(tmp_path, shapes, recipe(1))


def test_frozen_parts_stay(tmp_path: Path, shapes: Path) -> None:
    before = tiny_network()
    stage = dataclasses.replace(recipe(2).stages[0], freeze=("image_encoder",))
    after = run(tmp_path, shapes, dataclasses.replace(recipe(2), stages=(stage,)))
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        if name.startswith("image_encoder."):
            assert torch.equal(old, new), name


@pytest.mark.parametrize(("still", "changed"), [(False, True), (True, False)])
def test_statistics_of_batch_norms_are_held_still_if_asked(
    tmp_path: Path, shapes: Path, still: bool, changed: bool
) -> None:
    """In steps of pictures: those of clips hold them still anyway."""
    what = override(recipe(1), ["stages.*.feed.clip_share=0.0", f"stages.*.still_norms={still}"])
    network = Network(dataclasses.replace(TINY, encoder=ConvNetConfig((8, 16, 16, 32), (1, 1, 1, 1))))
    after = train(what, network, read_data([str(shapes)]), RunOptions(tmp_path))
    means = [name for name, _ in network.named_buffers() if name.endswith("running_mean")]
    old, new = network.state_dict(), after.state_dict()
    assert means
    assert all(torch.equal(old[name], new[name]) != changed for name in means)


def test_low_rank_changes_only_attention_and_loads_as_a_plain_model(tmp_path: Path, shapes: Path) -> None:
    before = tiny_network()
    run(tmp_path, shapes, recipe(3, low_rank=2))
    after = load_model(tmp_path / "model.safetensors").network
    changed = [
        name
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.allclose(old, new, atol=1e-7)
    ]
    assert changed
    assert all(".qkv." in name or "_proj." in name or "attn.proj" in name for name in changed)


def test_tensorboard_gets_the_same_figures(tmp_path: Path, shapes: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is an extra, masklet[train]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path, shapes, recipe(2), tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    shown = [(event.step, event.value) for event in events.Scalars("shapes/loss")]
    assert shown == [(line["step"], pytest.approx(line["loss"])) for line in lines(tmp_path)]


def test_tensorboard_that_is_missing(tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        TrainingError, match=r"needs the package torch.utils.tensorboard: pip install 'masklet\[train\]'"
    ):
        run(tmp_path, shapes, recipe(2), tensorboard=True)


def test_validation_keeps_the_best(tmp_path: Path, shapes: Path) -> None:
    scores = iter([0.5, 0.2])
    data = read_data([str(shapes)])
    options = RunOptions(tmp_path, log_every=1, validate_every=1, picture_every=1)
    train(recipe(2), tiny_network(), data, options, validate=lambda model: {"box": next(scores)})
    judged = [line for line in lines(tmp_path) if "box" in line]
    assert [line["box"] for line in judged] == [0.5, 0.2]
    assert not any("samples_per_second" in line for line in judged)
    best, last = (load_file(tmp_path / f"{name}.safetensors") for name in ("best", "model"))
    assert any(not torch.equal(best[key], last[key]) for key in last)
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) == 2


def test_a_stage_of_no_steps_is_left_out(tmp_path: Path, shapes: Path) -> None:
    """What comes of two stages of which one is left out is what comes of the other alone."""
    one = recipe(2)
    left_out = dataclasses.replace(one.stages[0], name="not-this", steps=0)
    both = dataclasses.replace(one, stages=(left_out, *one.stages))
    run(tmp_path / "both", shapes, both)
    assert [line["step"] for line in lines(tmp_path / "both")] == [1, 2]
    assert {line["stage"] for line in lines(tmp_path / "both")} == {"shapes"}
    assert (tmp_path / "both/model.safetensors").is_file()


def test_processes_wait_while_the_first_one_validates(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default they would give up after ten minutes or half an hour."""
    given: dict[str, Any] = {}
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(parallel.dist, "init_process_group", lambda backend, **options: given.update(options))
    monkeypatch.setattr(parallel.dist, "get_rank", lambda: 0)
    monkeypatch.setattr(parallel.dist, "destroy_process_group", lambda: None)
    with parallel.join_processes(torch.device("cpu")) as processes:
        assert (processes.rank, processes.world) == (0, 2)
    assert given["timeout"] >= timedelta(hours=12)
