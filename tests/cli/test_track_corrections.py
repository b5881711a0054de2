"""`masklet track` takes corrections: a further prompt goes on from an earlier run, and changes what it speaks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masklet.video import VideoTracker
from masklet.video.events import Prompted
from tests.cli.conftest import Read, Run
from tests.cli.test_track_resuming import followed, masks, stop

__all__ = ["followed", "stop"]
CUP, OTHER = "0:1:28,4,74,50", "0:2:120,15,150,60"


def prompts(folder: Path, video: Path, weights: Path) -> list[Prompted]:
    with VideoTracker.open(folder / "session.masklet", video, weights) as tracker:
        return [event for event in tracker.events if isinstance(event, Prompted)]


def test_a_further_click_corrects_a_finished_run(
    run: Run, tmp_path: Path, weights: Path, video: Path, followed: list[int], capsys: Read
) -> None:
    out = ("--model", weights, "--out", tmp_path / "a")
    assert run("track", video, "--box", CUP, *out) == 0
    before = masks(tmp_path / "a")
    followed.clear()
    assert run("track", video, "--point", "2:1:50,20,0", *out) == 0
    assert "a new prompt for the run in" in capsys.readouterr().err
    assert followed == [2, 3, 4]
    after = masks(tmp_path / "a")
    assert [*after] == [*before]
    for name in ("00000.png", "00001.png"):
        np.testing.assert_array_equal(after[name], before[name])
    assert (after["00002.png"] != before["00002.png"]).any()
    assert [(event.frame, event.object) for event in prompts(tmp_path / "a", video, weights)] == [(0, 1), (2, 1)]
    followed.clear()
    assert run("track", video, "--box", CUP, "--point", "2:1:50,20,0", *out) == 0  # both are known
    assert not followed
    for name, found in masks(tmp_path / "a").items():
        np.testing.assert_array_equal(found, after[name])


def test_another_object_leaves_the_first_as_it_was(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    out = ("--model", weights, "--out", tmp_path / "a")
    assert run("track", video, "--box", CUP, *out) == 0
    with VideoTracker.open(tmp_path / "a/session.masklet", video, weights) as tracker:
        before = [tracker.result(frame).objects[1].mask for frame in range(5)]
    assert run("track", video, "--box", OTHER, *out) == 0
    with VideoTracker.open(tmp_path / "a/session.masklet", video, weights) as tracker:
        for frame in range(5):
            result = tracker.result(frame)
            assert [*result.objects] == [1, 2]
            np.testing.assert_array_equal(result.objects[1].mask, before[frame])


def test_clicks_are_added_and_a_box_takes_the_place(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    out = ("--model", weights, "--out", tmp_path / "a")
    assert run("track", video, "--point", "0:1:50,20", *out) == 0
    assert run("track", video, "--point", "0:1:60,30", *out) == 0
    assert prompts(tmp_path / "a", video, weights)[-1].prompt.points == ((50, 20), (60, 30))
    assert run("track", video, "--box", CUP, *out) == 0
    last = prompts(tmp_path / "a", video, weights)[-1].prompt
    assert last.points == ()
    assert last.box == (28, 4, 74, 50)


@pytest.mark.parametrize("stop", ["interrupted"], indirect=True)
def test_a_correction_that_was_stopped_goes_on(
    run: Run, stop: object, tmp_path: Path, weights: Path, video: Path, followed: list[int]
) -> None:
    for out in ("part", "whole"):
        assert run("track", video, "--box", CUP, "--model", weights, "--out", tmp_path / out) == 0
    more = ("track", video, "--point", "1:1:50,20,0", "--model", weights, "--out")
    stop(2, (*more, tmp_path / "part"))  # type: ignore[operator]
    followed.clear()
    assert run(*more, tmp_path / "part") == 0
    assert followed[-1] == 4
    assert followed[0] >= 2
    assert run(*more, tmp_path / "whole") == 0
    whole = masks(tmp_path / "whole")
    for name, found in masks(tmp_path / "part").items():
        np.testing.assert_array_equal(found, whole[name], err_msg=name)


def test_whose_a_pixel_is_stays_as_it_was_decided(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    """By the command that tracks, by the same once more, and by `convert`; the masks overlap."""
    command = ("track", video, "--box", CUP, "--box", "0:2:20,2,110,80", "--model", weights, "--out", tmp_path / "a")
    assert run(*command) == 0
    first = masks(tmp_path / "a")
    with VideoTracker.open(tmp_path / "a/session.masklet", video, weights) as tracker:
        both = [np.logical_and(*tracker.result(frame).masks).sum() for frame in range(5)]
    assert sum(both) > 0
    assert run(*command) == 0
    assert run("convert", tmp_path / "a/session.masklet", "--out", tmp_path / "b/masks", "--format", "davis") == 0
    for folder in ("a", "b"):
        found = masks(tmp_path / folder)
        assert [*found] == [*first]
        for name, numbers in found.items():
            np.testing.assert_array_equal(numbers, first[name], err_msg=f"{folder} {name}")
