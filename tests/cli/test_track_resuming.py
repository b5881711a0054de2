"""A stopped or killed `masklet track` goes on where it was, in every direction: nothing is lost, nothing done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.formats.davis import read_index_png
from masklet.video import FrameResult, VideoTracker
from masklet.video.events import Followed
from tests.cli.conftest import Patch, Read, Run

ROOT = Path(__file__).parents[2]
CUP, SPOON = [28, 4, 74, 50], [120, 15, 150, 60]

KILLED = """
import os, signal
from masklet.jobs import record
from masklet.cli.main import main
from masklet.video import VideoTracker

follow = VideoTracker.propagate

def killed(tracker, **options):
    for number, result in enumerate(follow(tracker, **options), start=1):
        yield result
        if number == LAST:
            os.kill(os.getpid(), signal.SIGKILL)

record.SAVING_SECONDS, record.SHARE_OF_SAVING = 0, float("inf")
VideoTracker.propagate = killed
main()
"""

Stop = Callable[[int, tuple[str | Path, ...]], int]
"""Runs a command until so many frames were followed; returns the exit code."""


@pytest.fixture
def stop(request: pytest.FixtureRequest, run: Run) -> Stop:
    """Ctrl-C in this process, or SIGKILL in another."""

    def interrupted(frames: int, command: tuple[str | Path, ...]) -> int:
        follow = VideoTracker.propagate

        def some(tracker: VideoTracker, **options: Any) -> Iterator[FrameResult]:
            for number, result in enumerate(follow(tracker, **options), start=1):
                yield result
                if number == frames:
                    raise KeyboardInterrupt

        with Patch.context() as patch:
            patch.setattr(VideoTracker, "propagate", some)
            return run(*command)

    def killed(frames: int, command: tuple[str | Path, ...]) -> int:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        arguments = [sys.executable, "-c", KILLED.replace("LAST", str(frames)), *map(str, command)]
        return subprocess.run(arguments, capture_output=True, check=False, env=environment).returncode

    return interrupted if request.param == "interrupted" else killed


@pytest.fixture
def followed(monkeypatch: Patch) -> list[int]:
    """The frames that are followed from here on."""
    follow, frames = VideoTracker.propagate, []

    def noted(tracker: VideoTracker, **options: Any) -> Iterator[FrameResult]:
        for result in follow(tracker, **options):
            frames.append(result.frame)
            yield result

    monkeypatch.setattr(VideoTracker, "propagate", noted)
    return frames


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """One object that is pointed at once, and one that is on every frame from 2 on."""
    said = [
        {"frame": 0, "object": "a", "box": CUP},
        *({"frame": frame, "object": "b", "box": SPOON} for frame in (2, 3, 4)),
    ]
    (tmp_path / "dense.json").write_text(json.dumps(said))
    return tmp_path / "dense.json"


def masks(folder: Path) -> dict[str, NDArray[np.uint8]]:
    return {path.name: read_index_png(path) for path in sorted((folder / "masks").glob("*.png"))}


def same(part: Path, whole: Path) -> None:
    ours, theirs = masks(part), masks(whole)
    assert list(ours) == list(theirs)
    for name, found in ours.items():
        np.testing.assert_array_equal(found, theirs[name], err_msg=name)


def passes(session: Path, video: Path, weights: Path) -> list[Followed]:
    with VideoTracker.open(session, video, weights) as tracker:
        return [event for event in tracker.events if isinstance(event, Followed)]


@pytest.mark.parametrize("stop", ["interrupted"], indirect=True)
def test_prompts_that_lie_close_ahead_do_not_hide_what_is_missing(
    run: Run, stop: Stop, tmp_path: Path, weights: Path, video: Path, dense: Path, followed: list[int]
) -> None:
    command = ("track", video, "--prompts", dense, "--model", weights, "--out")
    stop(2, (*command, tmp_path / "part"))
    followed.clear()
    assert run(*command, tmp_path / "part") == 0
    assert followed == [1, 2, 3, 4]
    assert run(*command, tmp_path / "whole") == 0
    same(tmp_path / "part", tmp_path / "whole")
    assert all((found == 1).any() for found in masks(tmp_path / "part").values())


@pytest.mark.parametrize(
    ("stop", "direction", "frames", "left"),
    [("interrupted", "backward", 2, [3, 2, 1, 0]), *((way, "both", 7, [2, 3, 4]) for way in ("interrupted", "killed"))],
    indirect=["stop"],
)
def test_other_directions_go_on_with_the_pass_that_was_under_way(
    run: Run,
    stop: Stop,
    tmp_path: Path,
    weights: Path,
    video: Path,
    followed: list[int],
    direction: str,
    frames: int,
    left: list[int],
) -> None:
    prompts = [{"frame": frame, "object": "cup", "box": CUP} for frame in (1, 4)]
    (tmp_path / "two.json").write_text(json.dumps(prompts))
    command = ("track", video, "--prompts", tmp_path / "two.json", "--direction", direction, "--model", weights)
    part, whole = (*command, "--out", tmp_path / "part"), (*command, "--out", tmp_path / "whole")
    stop(frames, part)
    followed.clear()
    assert run(*part) == 0
    assert followed == left
    assert run(*whole) == 0
    same(tmp_path / "part", tmp_path / "whole")
    log = passes(tmp_path / "part/session.masklet", video, weights)
    assert sum(abs(event.last - event.first) + 1 for event in log) == len(frames_of(direction)) + 1
    followed.clear()
    assert run(*part) == 0
    assert len(followed) <= 1


def frames_of(direction: str) -> list[int]:
    """The frames of a whole run, as they come."""
    return [4, 3, 2, 1, 0, *([1, 2, 3, 4] if direction == "both" else [])]


@pytest.mark.parametrize("direction", ["backward", "both"])
def test_ctrl_c_keeps_what_is_known_in_other_directions_too(
    run: Run, tmp_path: Path, weights: Path, video: Path, monkeypatch: Patch, capsys: Read, direction: str
) -> None:
    follow = VideoTracker.propagate

    def interrupted(tracker: VideoTracker, **options: Any) -> Iterator[FrameResult]:
        for result in follow(tracker, **options):
            yield result
            if result.frame == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(VideoTracker, "propagate", interrupted)
    command = ("track", video, "--box", "4:1:28,4,74,50", "--direction", direction, "--model", weights)
    assert run(*command, "--out", tmp_path) == 130
    assert list(masks(tmp_path)) == ["00002.png", "00003.png", "00004.png"]
    shown = capsys.readouterr()
    assert shown.out.startswith("3 frames: masks in ")
    assert "the same command goes on from there" in shown.err
    assert (tmp_path / "overlay.mp4").is_file()
