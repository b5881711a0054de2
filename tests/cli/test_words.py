"""`--text` of `masklet segment` and `masklet track`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from masklet import words
from masklet.formats.project_file import read_project
from tests.cli.conftest import Run
from tests.image.detectors import Recorded
from tests.test_words import BOXES, picture


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr(words, "load_grounder", lambda *_: BOXES)
    return BOXES


@pytest.mark.usefixtures("recorded")
def test_pictures_by_words(run: Run, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    command = ["segment", tmp_path / "a.png", "--model", weights, "--out", tmp_path / "a.json"]
    assert run(*command, "--text", "cat") == 1
    assert "nothing is found for 'cat'; give other words, or a lower --least-score than 0.3" in capsys.readouterr().err
    assert run(*command, "--text", " ") == 1
    assert "the text is empty" in capsys.readouterr().err
    assert not (tmp_path / "a.json").exists()
    assert run(*command, "--text", "dog", "--box", "1,1,9,9") == 2
    assert run(*command, "--text", "red car . dog", "--least-score", "0.5") == 0
    content = json.loads((tmp_path / "a.json").read_text())
    assert {one["name"] for one in content["categories"]} <= {"red car", "dog"}


@pytest.mark.usefixtures("recorded")
def test_videos_by_words(run: Run, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clip").mkdir()
    for number in range(3):
        Image.fromarray(picture(number)).save(tmp_path / f"clip/{number}.png")
    command = ["track", tmp_path / "clip", "--model", weights, "--no-overlay"]
    assert run(*command, "--text", "red car . dog", "--every", "2", "--out", tmp_path / "out") == 0
    project = read_project(tmp_path / "out/session.masklet")
    assert {said.category for said in project.descriptions.values()} <= {"red car", "dog"}
    assert project.notes["text"] == "red car . dog"
    assert run(*command, "--text", "dog", "--out", tmp_path / "out") == 1
    assert "--text red car . dog, and --every 15, --text dog is asked for" in capsys.readouterr().err
    assert run(*command, "--text", "cat", "--out", tmp_path / "none") == 0
    assert "nothing is found for 'cat'; give other words" in capsys.readouterr().err
    assert run(*command, "--text", "", "--out", tmp_path / "empty") == 1
    assert "the text is empty" in capsys.readouterr().err
    assert run(*command, "--text", "dog", "--box", "0:1:1,1,9,9", "--out", tmp_path / "both") == 2
