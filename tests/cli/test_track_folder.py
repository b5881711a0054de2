"""`masklet track` on a folder of videos: each in a folder of its own, failures told, what is done passed over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from masklet.video import VideoTracker
from tests.cli.conftest import Patch, Read, Run, error_of

BOX = "0:1:28,4,74,50"

QUALITY = "examples.policies.quality:QualityPolicy"


@pytest.fixture
def clips(tmp_path: Path, video: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("b10.mp4", "b9.mp4"):
        shutil.copy(video, folder / name)
    (folder / "notes.txt").write_text("not a video")
    return folder


def masks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "masks").glob("*.png"))


def test_a_failing_video_is_told_and_the_rest_go_on(
    run: Run, tmp_path: Path, weights: Path, clips: Path, capsys: Read
) -> None:
    (clips / "b1.mp4").write_text("a dog runs")
    command = ("track", clips, "--box", BOX, "--model", weights, "--out", tmp_path / "out")
    assert run(*command) == 1
    shown = capsys.readouterr()
    assert "masklet: b1.mp4: b1.mp4 is not a video that can be decoded" in shown.err
    assert shown.out == f"2 videos done, 1 failed: masks and overlays in {tmp_path / 'out'}\n"
    for name in ("b9", "b10"):
        assert len(masks(tmp_path / "out" / name)) == 5
        assert (tmp_path / "out" / name / "overlay.mp4").is_file()
    assert not (tmp_path / "out/b1").exists()


def test_what_is_done_is_passed_over(
    run: Run, tmp_path: Path, weights: Path, clips: Path, capsys: Read, monkeypatch: Patch
) -> None:
    command = ("track", clips, "--box", BOX, "--model", weights, "--out", tmp_path / "out")
    assert run(*command) == 0
    (tmp_path / "out/b9/done.json").unlink()
    capsys.readouterr()
    opened: list[str] = []
    begin = VideoTracker.__init__

    def noted(self: VideoTracker, video: object, *arguments: object, **options: object) -> None:
        opened.append(Path(str(video)).name)
        begin(self, video, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoTracker, "__init__", noted)
    assert run(*command) == 0
    assert set(opened) == {"b9.mp4"}
    assert capsys.readouterr().out.startswith("1 video done, 1 passed over that were done before: ")


def test_each_video_has_prompts_of_its_own(run: Run, tmp_path: Path, weights: Path, clips: Path, capsys: Read) -> None:
    prompts = tmp_path / "prompts.json"
    box = [28, 4, 74, 50]
    prompts.write_text(json.dumps({"b9.mp4": [{"frame": 3, "box": box}], "b10": [{"frame": 4, "box": box}]}))
    assert run("track", clips, "--prompts", prompts, "--model", weights, "--out", tmp_path / "out") == 0
    assert masks(tmp_path / "out/b9") == ["00003.png", "00004.png"]
    assert masks(tmp_path / "out/b10") == ["00004.png"]

    prompts.write_text(json.dumps({"b9.mp4": [{"frame": 3, "box": box}]}))
    assert run("track", clips, "--prompts", prompts, "--model", weights, "--out", tmp_path / "other") == 1
    assert "masklet: b10.mp4: nothing is said of it; give a prompt under its name" in capsys.readouterr().err
    assert masks(tmp_path / "other/b9") == ["00003.png", "00004.png"]


def test_what_was_done_with_another_policy_is_not_passed_over(
    run: Run, tmp_path: Path, weights: Path, clips: Path, capsys: Read
) -> None:
    command = ("track", clips, "--box", BOX, "--model", weights, "--out", tmp_path / "out")
    assert run(*command) == 0
    assert run(*command, "--policy", QUALITY) == 1
    shown = capsys.readouterr()
    assert "b9.mp4: " in shown.err
    assert shown.err.count(f"was made with --policy published, and --policy {QUALITY} is asked for") == 2
    assert "0 videos done, 2 failed" in shown.out


@pytest.mark.parametrize(
    ("prompts", "more", "said"),
    [
        ({"b8.mp4": [{"frame": 3, "box": [1, 2, 30, 40]}]}, [], "no such video; nearest: b9.mp4"),
        ({"b9": {"frame": 3}}, [], "holds no list"),
        ([{"frame": 3, "box": [1, 2, 30, 40]}], ["--overlay", "all.mp4"], "leave it out, each gets its own"),
    ],
)
def test_wrong_usage(
    run: Run, tmp_path: Path, clips: Path, capsys: Read, prompts: object, more: list[str], said: str
) -> None:
    (tmp_path / "prompts.json").write_text(json.dumps(prompts))
    assert run("track", clips, "--prompts", tmp_path / "prompts.json", "--out", tmp_path / "out", *more) == 2
    assert said in error_of(capsys)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_all_and_keeps_what_is_finished(
    run: Run, tmp_path: Path, weights: Path, clips: Path, monkeypatch: Patch
) -> None:
    follow = VideoTracker.propagate

    def interrupted(tracker: VideoTracker, **options: Any) -> object:
        if tracker.path.endswith("b10.mp4"):
            yield from follow(tracker, stop=2, **options)
            raise KeyboardInterrupt
        yield from follow(tracker, **options)

    command = ("track", clips, "--box", BOX, "--model", weights, "--out", tmp_path / "out")
    monkeypatch.setattr(VideoTracker, "propagate", interrupted)
    assert run(*command) == 130
    assert (tmp_path / "out/b9/done.json").exists()
    assert masks(tmp_path / "out/b10") == ["00000.png", "00001.png"]
    monkeypatch.undo()


def test_names_that_differ_in_their_endings_alone(
    run: Run, tmp_path: Path, weights: Path, clips: Path, video: Path
) -> None:
    shutil.copy(video, clips / "b9.m4v")
    assert run("track", clips, "--box", BOX, "--model", weights, "--out", tmp_path / "out") == 0
    folders = [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert sorted(folders) == ["b10", "b9.m4v", "b9.mp4"]
