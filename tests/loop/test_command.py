"""`masklet loop` as it is typed: a whole round, the same again, and what a slip of the finger gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from masklet.checkpoints import Model, load_model, save_model
from masklet.cli.servers import model_of
from tests.cli.conftest import Run, run  # noqa: F401
from tests.training.shapes import tiny_network, write_shapes


def test_a_round_and_the_same_again(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    work, weights = tmp_path / "work", tmp_path / "tiny.safetensors"
    save_model(Model("tiny-test", tiny_network().eval()), weights)
    shapes = write_shapes(tmp_path / "shapes", pictures=4, videos=0)
    Image.new("RGB", (96, 72), (30, 30, 30)).save(tmp_path / "new.png")
    wishes = ("--videos", tmp_path / "new.png", "--data", shapes, "--model", weights, "--steps", 2)
    assert run("loop", work, *wishes, "--set", "stages.*.feed.frames=2", "--device", "cpu") == 0
    first = capsys.readouterr().out
    assert "collected for version 1: 2 videos and pictures to learn from, 2 to judge on" in first
    assert "annotated ahead: 1 of 1" in first
    assert run("loop", work) == 0  # what was asked is kept
    assert "nothing new is annotated" in capsys.readouterr().out
    assert run("loop", "queue", work) == 0
    assert str(tmp_path / "new.png") in capsys.readouterr().out
    assert run("loop", "status", work) == 0
    kept = "kept" in first and "not kept" not in first
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines] == ([" ", "*"] if kept else ["*", " "])
    assert load_model(model_of(work)).config.name == "tiny-test"
    assert model_of(tmp_path) == "nano"


def test_a_slip_of_the_finger_makes_no_project(
    run: Run,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("loop", "statsu") == 1
    assert "there is no project at statsu" in capsys.readouterr().err
    assert run("loop", "status", "nowhere") == 1
    assert run("loop", "run", "nowhere", "--held-out", "2") == 2
    assert not list(tmp_path.iterdir())
    (tmp_path / "photos").mkdir()
    for step in ("status", "queue", "run", "roll-back"):
        capsys.readouterr()
        assert run("loop", step, "photos") == 1
        assert "there is no project at photos" in capsys.readouterr().err
    (tmp_path / "work/videos").mkdir(parents=True)  # a project in which nothing was learned yet
    assert run("loop", "status", "work") == 0
    assert {path.name for path in tmp_path.rglob("*")} == {"photos", "work", "videos"}
    assert run("loop", "new", "--videos", "missing") == 1
    assert "there is nothing at missing" in capsys.readouterr().err
    assert not list(tmp_path.rglob("asked.json"))
