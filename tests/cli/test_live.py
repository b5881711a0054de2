"""`masklet live`: a file played like a camera, into files and pipes; cameras that go away; wrong usage."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from masklet import live
from masklet.engines.base import Engine
from masklet.formats.davis import read_index_png
from masklet.formats.project_file import read_project
from masklet.live import LiveSession
from masklet.media.camera import Camera, Patience
from masklet.video import TrackingOptions
from tests.cli.conftest import Patch, Read, Run, error_of
from tests.media.test_camera import MadeUp, Opener

BOX = ("--box", "cup:28,4,74,50")
ROOT = Path(__file__).parents[2]

QUALITY = "examples.policies.quality:QualityPolicy"


def test_a_file_into_a_film_with_its_own_times(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    assert run("live", video, *BOX, "--model", weights, "--out", tmp_path / "out.mp4") == 0
    with av.open(str(tmp_path / "out.mp4")) as film:
        frames = list(film.decode(video=0))
    assert 1 <= len(frames) <= 5
    shown = capsys.readouterr()
    followed = "1 frame" if len(frames) == 1 else f"{len(frames)} frames"
    assert shown.out == f"{followed} in {tmp_path / 'out.mp4'}; {5 - len(frames)} passed over\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4"]


def test_into_a_folder_of_masks_until_a_number_of_frames(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    command = ("live", video, "--point", "1:50,30", "--point", "1:150,110,0", "--model", weights)
    assert run(*command, "--out", tmp_path / "masks", "--frames", "1") == 0
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["00000.png"]
    assert set(np.unique(read_index_png(tmp_path / "masks/00000.png"))) <= {0, 1}


@pytest.mark.parametrize("name", ["out.mp4", "masks"])
def test_an_earlier_recording_is_not_written_over(
    name: str, run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    command = (*BOX, "--model", weights, "--out", tmp_path / name, "--frames", "1")
    assert run("live", video, *command) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in files}
    assert run("live", "7", *command) == 1
    assert f"{tmp_path / name} holds something already" in error_of(capsys)
    assert {path: path.read_bytes() for path in files} == kept
    assert run("live", video, *command) == 0  # a file can be played again


def test_into_a_pipe(weights: Path, video: Path) -> None:
    command = [sys.executable, "-m", "masklet.cli.main", "live", str(video), *BOX, "--model", str(weights)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*command, "--out", "-"], capture_output=True, check=True, env=environment)
    with av.open(io.BytesIO(done.stdout)) as container:
        assert container.format.name == "nut"
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(160, 120)}
    assert b"in the pipe; " in done.stderr


def test_a_camera_that_goes_away_keeps_what_is_written(
    run: Run, tmp_path: Path, weights: Path, monkeypatch: Patch, capsys: Read
) -> None:
    picture = np.full((48, 64, 3), 90, np.uint8)
    brief = Patience(first=0.001, longest=0.002, total=0.05)
    opener = Opener(MadeUp([picture]), MadeUp([picture]))

    def open_camera(source: str, wait: float) -> Camera:
        assert (source, wait) == ("0", 7.0)
        return Camera(int(source), patience=brief, opener=opener)

    monkeypatch.setattr(live, "open_camera", open_camera)
    options = ("--box", "1:4,4,40,40", "--model", weights, "--out", tmp_path / "out.mp4")
    assert run("live", "0", *options, "--wait", "7") == 1
    assert len(opener.opened) > 2
    told = " ".join(capsys.readouterr().err.split())
    assert "masklet: camera 0 went away after frame " in told
    assert f"in {tmp_path / 'out.mp4'}; " in told
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert list(film.decode(video=0))


def test_speed_and_policy(run: Run, tmp_path: Path, video: Path, monkeypatch: Patch) -> None:
    policies = []

    def noted(camera: Camera, model: Engine, options: TrackingOptions) -> LiveSession:
        policies.append(options.policy)
        return LiveSession(camera, model, options)

    monkeypatch.setattr(live, "LiveSession", noted)
    options = (*BOX, "--out", tmp_path / "out.masklet", "--frames", "1", "--speed", "fast", "--policy", QUALITY)
    assert run("live", video, *options) == 0
    assert read_project(tmp_path / "out.masklet").model == "nano:fast"
    assert policies == [QUALITY]


def test_an_unknown_policy_is_told_before_the_camera_is_opened(
    run: Run, tmp_path: Path, monkeypatch: Patch, capsys: Read
) -> None:
    monkeypatch.setattr(live, "open_camera", None)
    assert run("live", "0", *BOX, "--out", tmp_path / "out.mp4", "--policy", "publishd") == 1
    assert "there is no 'publishd' among the policies; nearest: published" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_no_camera_and_no_file(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    options = (*BOX, "--model", weights, "--out", tmp_path / "out.mp4")
    assert run("live", tmp_path / "gone.mp4", *options) == 1
    assert f"masklet: there is nothing at {tmp_path / 'gone.mp4'}" in capsys.readouterr().err
    assert run("live", "nosuch://door", *options) == 1
    assert "masklet: nosuch://door cannot be opened" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_box_outside_the_picture_leaves_nothing_behind(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    command = ("live", video, "--box", "1:700,4,740,50", "--model", weights, "--out", tmp_path / "out.mp4")
    assert run(*command) == 1
    assert "the box (700, 4, 740, 50) does not lie in the picture" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("options", "code", "said"), [
    ([], 2, "nobody would see anything; give --serve for a page, --out FILE, or --out -"),
    (["--out", "a.mp4"], 2, "nothing to follow; give --box OBJECT:x0,y0,x1,y1"),
    ([*BOX, "--out", "a.xyz"], 1, "a.xyz does not show its format; give an ending that does"),
    ([*BOX, "--out", "-", "--format", "coco"], 1, "a pipe cannot carry 'coco'"),
    ([*BOX, "--out", "a.webm", "--format", "webn"], 1, "unknown format 'webn'; nearest: webm"),
    (["--box", "1,2,3,4", "--out", "a.mp4"], 2, "such as --box"),
    (["--frames", "0", *BOX, "--out", "a.mp4"], 2, "--frames"),
])  # fmt: skip
def test_wrong_usage(
    run: Run, tmp_path: Path, capsys: Read, monkeypatch: Patch, options: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("live", "clip.mp4", *options) == code
    assert said in error_of(capsys)
    assert not list(tmp_path.iterdir())


def test_the_source_is_never_written_over(run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read) -> None:
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(video.read_bytes())
    assert run("live", copy, *BOX, "--model", weights, "--out", copy) == 1
    assert "clip.mp4 is what is read; give another place" in capsys.readouterr().err
    assert copy.read_bytes() == video.read_bytes()
