"""`masklet train plot`: the curves of runs, and what is said of logs that hold none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from masklet.errors import TrainingError
from masklet.training.curves import plot_training, read_curves


def log(folder: Path, *records: dict[str, object], more: str = "") -> Path:
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + more)
    return folder


def test_steps_of_stages_and_runs_are_counted_on(tmp_path: Path) -> None:
    first = log(
        tmp_path / "first",
        {"stage": "pictures", "step": 20, "iou": 0.2, "loss": 3.0},
        {"stage": "pictures", "step": 40, "iou": 0.4, "box": 0.5},
        {"stage": "clips", "step": 30, "iou": float("nan"), "video": 0.3},
    )
    second = log(tmp_path / "second", {"stage": "clips", "step": 10, "iou": 0.6}, more='{"stage": "cl')
    curves, begins, steps = read_curves([first, second])
    assert curves == {"iou": [(20, 0.2), (40, 0.4), (80, 0.6)], "box": [(40, 0.5)], "video": [(70, 0.3)]}
    assert begins == {0: "pictures", 40: "clips", 70: "clips"}
    assert plot_training([first, second], tmp_path / "curves.png") == steps == 80
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 800


def test_a_short_fine_tuning_is_drawn_too(tmp_path: Path) -> None:
    run = log(tmp_path / "run", {"stage": "finetune", "step": 6, "box": 0.5})
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
    run = log(tmp_path / "run", *records, more=more)
    with pytest.raises(TrainingError, match=told):
        plot_training([run], tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_folder_without_a_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no log"):
        plot_training([tmp_path], tmp_path / "c.png")
