"""What goes wrong with videos, disks and processes: a sentence, nothing half-written, and the next run goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from masklet.cli.main import app
from masklet.cli.terminal import bars, counted
from masklet.formats.davis import read_index_png
from tests.cli.conftest import Patch, Read, Run
from tests.media.clips import Clip, write_clip
from tests.test_docs import commands_of

BOX = "0:1:10,8,40,30"
ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys
from masklet.jobs import record
from masklet.cli.main import main
from masklet.video import VideoTracker

follow = VideoTracker.propagate

def killed(tracker, *arguments, **options):
    for result in follow(tracker, *arguments, **options):
        yield result
        if result.frame == 2:
            os.kill(os.getpid(), signal.SIGKILL)

record.SAVING_SECONDS = 0
VideoTracker.propagate = killed
main()
"""

FULL = """
import resource, signal
from masklet.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, MOST))
main()
"""


def python(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A program in an interpreter of its own, with a command line."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: read_index_png(path) for path in sorted((folder / "masks").glob("*.png"))}


def test_a_truncated_video_is_tracked_as_far_as_it_goes(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    whole, path = tmp_path / "whole.mp4", tmp_path / "clip.mp4"
    write_clip(path, Clip(".mp4", options={"g": "3", "bf": "0"}, count=12))
    with av.open(str(path)) as clip, av.open(str(whole), "w", options={"movflags": "faststart"}) as index_first:
        stream = index_first.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.size:
                packet.stream = stream
                index_first.mux(packet)
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.8)])
    assert run("track", path, "--box", BOX, "--model", weights, "--out", tmp_path / "out") == 0
    shown = capsys.readouterr()
    found = len(pictures(tmp_path / "out"))
    assert 3 < found < 12
    assert f"masklet: clip.mp4 breaks off after frame {found - 1} (" in shown.err
    assert shown.out.startswith(f"{found} frames: masks in ")


def test_a_video_of_one_frame(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(".mp4", count=1))
    command = ("track", path, "--box", BOX, "--model", weights, "--out", tmp_path / "out")
    assert run(*command, "--direction", "both") == 0
    assert list(pictures(tmp_path / "out")) == ["00000.png"]
    assert capsys.readouterr().out.startswith("1 frame: masks in ")


def test_what_is_no_video(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.mp4").write_text("a dog runs")
    for name, said in (
        ("empty", "holds no pictures; give one with files of these kinds: .jpg"),
        ("gone.mp4", f"there is nothing at {tmp_path / 'gone.mp4'}"),
        ("notes.mp4", "masklet: notes.mp4 is not a video that can be decoded"),
    ):
        assert run("track", tmp_path / name, "--box", BOX, "--model", weights, "--out", tmp_path / "out") == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pictures_of_different_sizes_are_named_and_those_before_stay(
    run: Run, tmp_path: Path, weights: Path, capsys: Read
) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    for number, size in enumerate([(64, 48), (64, 48), (60, 48)]):
        Image.fromarray(np.full((*size[::-1], 3), 90, np.uint8)).save(folder / f"{number}.png")
    assert run("track", folder, "--box", BOX, "--model", weights, "--out", tmp_path / "out") == 1
    assert "masklet: 2.png is 60 x 48 pixels, but the first picture, 0.png, is 64 x 48" in capsys.readouterr().err
    assert list(pictures(tmp_path / "out")) == ["0.png", "1.png"]
    assert not (tmp_path / "out/overlay.mp4").exists()


def test_a_killed_run_is_gone_on_with_and_ends_the_same(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    command = ("track", video, "--box", "0:1:28,4,74,50", "--model", weights, "--out")
    assert run(*command, tmp_path / "whole") == 0
    assert python(KILLED, *command, tmp_path / "part").returncode == -9
    part = tmp_path / "part"
    assert not (part / "overlay.mp4").exists()
    assert (part / "session.masklet").exists()
    assert set(pictures(part)) <= set(pictures(tmp_path / "whole"))  # each of them whole, or it could not be read
    assert list(part.glob(".*.partial"))

    assert run(*command, part) == 0
    whole = pictures(tmp_path / "whole")
    for name, found in pictures(part).items():
        np.testing.assert_array_equal(found, whole.pop(name), err_msg=name)
    assert not whole
    with av.open(str(part / "overlay.mp4")) as film:
        assert len(list(film.decode(video=0))) == 5
    assert sorted(path.name for path in part.iterdir()) == ["masks", "overlay.mp4", "session.masklet"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files, which Windows has not")
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, weights: Path, video: Path) -> None:
    command = ("track", video, "--box", "0:1:28,4,74,50", "--model", weights, "--out", tmp_path / "out")
    done = python(FULL.replace("MOST", "3000"), *command)
    assert done.returncode == 1
    assert "cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".png"] == []
    pictures(tmp_path / "out")  # whatever is there can be read


def test_bars_count_what_is_followed(run: Run) -> None:
    with bars() as progress:
        assert list(counted(progress, "abc", "tracking", 9)) == ["a", "b", "c"]
        assert list(counted(progress, "ab", "writing", None)) == ["a", "b"]
        assert [(task.description, task.completed, task.total) for task in progress.tasks] == [
            ("tracking", 3, 3),
            ("writing", 2, 2),
        ]


@pytest.mark.parametrize(("direction", "expected"), [("forward", [3]), ("backward", [3, 3]), ("both", [5, 5])])
def test_totals_fit_what_comes(
    run: Run, tmp_path: Path, weights: Path, video: Path, monkeypatch: Patch, direction: str, expected: list[int]
) -> None:
    totals = []

    def noted(progress: object, items: object, what: str, total: int) -> object:
        totals.append(total)
        came = list(items)  # type: ignore[call-overload]
        assert len(came) == total or direction == "both"
        return came

    monkeypatch.setattr("masklet.cli.terminal.counted", noted)
    command = ("track", video, "--box", "2:1:28,4,74,50", "--model", weights, "--out", tmp_path / "out")
    assert run(*command, "--direction", direction) == 0
    assert totals[-1] == expected[-1]
    assert totals[0] == (6 if direction == "both" else expected[0])


@pytest.mark.parametrize("name", ["track", "live", "segment", "everything", "convert"])
def test_every_number_has_bounds(name: str) -> None:
    command = dict(commands_of(get_command(app)))[name]
    for parameter in command.params:
        told = parameter.type_descriptor
        if told is not None and told.annotation in (int, float):
            low, high = told.parameter_info.min, told.parameter_info.max
            assert low is not None, parameter.name
            assert high is not None, parameter.name
            assert low < high < 10**10, parameter.name


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300", "-1"])
def test_numbers_beyond_all_bounds_are_refused(seconds: str, run: Run, tmp_path: Path) -> None:
    assert run("live", "0", "--box", "1:1,1,9,9", "--out", tmp_path / "a.mp4", "--seconds", seconds) == 2
