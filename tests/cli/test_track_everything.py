"""`masklet track --everything`: nothing is pointed at; a stopped run ends like a straight one; wrong usage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from masklet import discovery
from masklet.formats.project_file import read_project
from masklet.formats.registry import read_masks
from masklet.video import FrameResult, VideoTracker
from tests.cli.conftest import Patch, Read, Run, error_of
from tests.cli.test_bad_input import KILLED, pictures, python

WILLING = ("--everything", "--points-per-side", "4", "--least-iou", "0", "--least-stability", "0", "--most", "4")
"""The small network is not sure of anything."""


def same(part: Path, whole: Path) -> None:
    """Both hold the same masks, in all that was written."""
    expected = pictures(whole)
    found = pictures(part)
    assert list(found) == list(expected)
    for name, numbers in found.items():
        np.testing.assert_array_equal(numbers, expected[name], err_msg=name)
    one, other = (read_project(folder / "session.masklet") for folder in (part, whole))
    assert (one.frames, one.indices) == (other.frames, other.indices)


def test_things_get_numbers_that_stay(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    command = ("track", video, *WILLING, "--every", "2", "--model", weights, "--format", "coco", "--out", tmp_path)
    assert run(*command) == 0
    maps = pictures(tmp_path)
    assert list(maps) == [f"{number:05d}.png" for number in range(5)]
    seen = {int(number) for numbers in maps.values() for number in np.unique(numbers)} - {0}
    assert seen
    assert seen <= {1, 2, 3, 4}
    assert (tmp_path / "overlay.mp4").is_file()
    for found, numbers in zip(read_masks("coco", tmp_path / "formats/coco.json"), maps.values(), strict=True):
        assert np.sum([mask for mask in found.masks.values()], axis=0).max() == 1, "each pixel has one object"
        for name, mask in found.masks.items():
            np.testing.assert_array_equal(mask, numbers == int(name))


def test_a_killed_run_ends_like_a_straight_one(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    command = ("track", video, *WILLING, "--every", "3", "--model", weights, "--out")
    assert run(*command, tmp_path / "whole") == 0
    assert python(KILLED, *command, tmp_path / "part").returncode == -9
    assert (tmp_path / "part/session.masklet").exists()
    assert run(*command, tmp_path / "part") == 0
    same(tmp_path / "part", tmp_path / "whole")


@pytest.mark.parametrize("policy", ["published", "examples.policies.long:LongPolicy"])
def test_a_run_that_is_stopped_while_it_looks_for_things_ends_like_a_straight_one(
    run: Run, tmp_path: Path, weights: Path, video: Path, monkeypatch: Patch, capsys: Read, policy: str
) -> None:
    options = ("--every", "2", "--model", weights, "--policy", policy)
    command = ("track", video, *WILLING, *options, "--out")
    take_up = discovery.take_up

    def interrupted(tracker: VideoTracker, result: FrameResult, how: discovery.DiscoveryOptions) -> list[int]:
        if result.frame == 4:
            raise KeyboardInterrupt
        return take_up(tracker, result, how)

    monkeypatch.setattr(discovery, "take_up", interrupted)
    assert run(*command, tmp_path / "part") == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert len(pictures(tmp_path / "part")) == 4
    monkeypatch.setattr(discovery, "take_up", take_up)
    assert run(*command, tmp_path / "part") == 0
    assert run(*command, tmp_path / "whole") == 0
    same(tmp_path / "part", tmp_path / "whole")


def test_a_run_that_was_asked_for_otherwise_is_refused(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    command = ("track", video, "--model", weights, "--out", tmp_path)
    assert run(*command, *WILLING) == 0
    assert run(*command, *WILLING, "--every", "3") == 1
    assert "was made with --every 15, and --every 3 is asked for; give another --out" in capsys.readouterr().err
    assert run(*command, "--box", "0:1:28,4,74,50") == 1
    assert "was made with --everything, and no --everything is asked for" in capsys.readouterr().err
    assert run(*command, "--box", "0:1:28,4,74,50", "--overwrite") == 0
    assert run(*command, *WILLING) == 1
    assert "was made with no --everything, and --everything is asked for" in capsys.readouterr().err


def test_a_folder_of_videos(run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(video, tmp_path / "clips" / name)
    command = ("track", tmp_path / "clips", *WILLING, "--model", weights, "--out", tmp_path / "out")
    assert run(*command) == 0
    assert len(pictures(tmp_path / "out/b")) == 5
    assert run(*command) == 0
    assert "0 videos done, 2 passed over" in capsys.readouterr().out
    done = json.loads(json.loads((tmp_path / "out/a/done.json").read_text())["options"])
    assert (done["everything"], done["most"]) == (True, 4)


def test_where_nothing_is_found_masks_are_empty(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    command = ("track", video, "--everything", "--least-iou", "1", "--points-per-side", "2", "--model", weights)
    assert run(*command, "--out", tmp_path) == 0
    assert [bool(numbers.any()) for numbers in pictures(tmp_path).values()] == [False] * 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--everything", "--box", "0:1:2,4,7,5"], "--everything finds the objects itself, and --box, --point, --mask"),
        (["--everything", "--point", "0:1:2,4"], "give one or the other"),
        (["--everything", "--mask", "0:1:a.png"], "give one or the other"),
        (["--everything", "--direction", "both"], "--everything goes forward, as things are found when they come in"),
        (
            ["--every", "3", "--box", "0:1:2,4,7,5"],
            "--every sets how things are looked for; give --everything, --text or --like too",
        ),
        (["--least-iou", "0.5"], "--least-iou sets how things are looked for"),
        (["--everything", "--like", "a.jpg"], "--everything and --like are ways to find things; give one"),
        (["--text", "cat", "--like", "a.jpg"], "--text and --like are ways to find things; give one"),
        (["--like", "a.jpg", "--box", "0:1:2,4,7,5"], "--like finds the objects itself"),
        (["--like", "a.jpg", "--least-likeness", "2"], "--least-likeness"),
        (["--like", ""], "--like is empty"),
        (["--everything", "--every", "0"], "--every"),
        (["--everything", "--most", "255"], "--most"),
        (["--everything", "--least-area", "2"], "--least-area"),
        ([], "--everything or --like"),
    ],
)
def test_wrong_usage(run: Run, tmp_path: Path, video: Path, capsys: Read, options: list[str], said: str) -> None:
    assert run("track", video, *options, "--out", tmp_path / "out") == 2
    assert said in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (None, "a.jpg has no mask beside it; give one in a.png, white on the thing"),
        (np.zeros((120, 160), np.uint8), "a.jpg holds no mask; mark the thing that is to be found"),
        (np.full((10, 20), 255, np.uint8), "a.png is 20 x 10 pixels, and a.jpg 160 x 120"),
        ("text", "a.png cannot be read as a PNG"),
    ],
)
def test_an_example_without_a_mask(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read, mask: Any, said: str
) -> None:
    like = ("--like", tmp_path / "a.jpg", "--model", weights, "--out", tmp_path / "out")
    assert run("track", video, *like) == 1
    assert f"there is no file at {tmp_path / 'a.jpg'}; give a picture with its mask" in error_of(capsys)
    Image.new("RGB", (160, 120)).save(tmp_path / "a.jpg")
    if isinstance(mask, str):
        (tmp_path / "a.png").write_text(mask)
    elif mask is not None:
        Image.fromarray(mask).save(tmp_path / "a.png")
    assert run("track", video, *like) == 1
    assert said in error_of(capsys)
    if isinstance(mask, np.ndarray):
        like = ("--like", tmp_path / "a.png", *like[2:])
        assert run("track", video, *like) == 1
        assert "a.png holds masks without a picture; give the picture (.jpg)" in error_of(capsys)
    assert not (tmp_path / "out").exists()
