"""The log of a run: what a line tells, what the pace counts, which lines stay when a run goes on; its curves."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from PIL import Image

from masklet.errors import TrainingError
from masklet.training.log import LOG_FILE, open_log, plot_training, read_curves, rewind


def steps(folder: Path) -> list[tuple[str, int]]:
    read = [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]
    return [(line["stage"], line["step"]) for line in read]


def test_the_pace_tells_memory_and_leaves_out_what_is_done_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("resource", reason="only Unix tells how much memory a process has taken")
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with open_log(tmp_path, tensorboard=False, leads=False) as log:
        log.begin("clips", 0, 10)
        clock[0] += 2
        log.advance(8)
        with log.aside():
            clock[0] += 1000
        pace = log.pace()
        clock[0] += 1
        log.advance(5)
        assert log.pace()["samples_per_second"] == pytest.approx(5)
    assert pace["samples_per_second"] == pytest.approx(4)
    assert 20 < pace["memory_mib"] < 1e6


@pytest.mark.parametrize(
    ("done", "kept"),
    [
        ({}, []),
        ({"clips": 2}, [("clips", 1), ("clips", 2)]),
        ({"clips": 3, "long": 1}, [("clips", 1), ("clips", 2), ("clips", 3), ("long", 1)]),
    ],
)
def test_steps_that_are_done_again_leave_the_log(
    tmp_path: Path, done: dict[str, int], kept: list[tuple[str, int]]
) -> None:
    written = [("clips", 1), ("clips", 2), ("clips", 3), ("long", 1), ("long", 2)]
    text = "".join(json.dumps({"stage": stage, "step": step, "loss": 1.0}) + "\n" for stage, step in written)
    (tmp_path / LOG_FILE).write_text(text + '{"stage": "long", "ste')  # killed while it wrote
    rewind(tmp_path, done)
    assert steps(tmp_path) == kept


def test_a_run_without_a_log(tmp_path: Path) -> None:
    rewind(tmp_path, {})
    assert not list(tmp_path.iterdir())


def write_log(folder: Path, *records: dict[str, object], more: str = "") -> Path:
    folder.mkdir()
    (folder / LOG_FILE).write_text("".join(json.dumps(record) + "\n" for record in records) + more)
    return folder


def test_steps_of_stages_and_runs_are_counted_on(tmp_path: Path) -> None:
    first = write_log(
        tmp_path / "first",
        {"stage": "pictures", "step": 20, "iou": 0.2, "loss": 3.0},
        {"stage": "pictures", "step": 40, "iou": 0.4, "box": 0.5},
        {"stage": "clips", "step": 30, "iou": float("nan"), "video": 0.3},
    )
    second = write_log(tmp_path / "second", {"stage": "clips", "step": 10, "iou": 0.6}, more='{"stage": "cl')
    curves, begins, steps = read_curves([first, second])
    assert curves == {"iou": [(20, 0.2), (40, 0.4), (80, 0.6)], "box": [(40, 0.5)], "video": [(70, 0.3)]}
    assert begins == {0: "pictures", 40: "clips", 70: "clips"}
    assert plot_training([first, second], tmp_path / "curves.png") == steps == 80
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 800


def test_a_short_fine_tuning_is_drawn_too(tmp_path: Path) -> None:
    run = write_log(tmp_path / "run", {"stage": "finetune", "step": 6, "box": 0.5})
    assert plot_training([run], tmp_path / "curves.svg") == 6
    assert "<svg" in (tmp_path / "curves.svg").read_text()


@pytest.mark.parametrize(
    ("records", "more", "name", "told"),
    [
        ([{"stage": "a", "step": 9}], "", "c.png", "holds no figure yet"),
        ([], '{"step": 9}\n{"stage": "a", "step": 9}\n', "c.png", "line 1 of .* is no record of a step"),
        ([{"stage": "a", "step": 9, "iou": 0.5}], "", "c.docx", "is no picture that is drawn; give one of .*png"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    tmp_path: Path, records: list[dict[str, object]], more: str, name: str, told: str
) -> None:
    run = write_log(tmp_path / "run", *records, more=more)
    with pytest.raises(TrainingError, match=told):
        plot_training([run], tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_folder_without_a_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no log"):
        plot_training([tmp_path], tmp_path / "c.png")
