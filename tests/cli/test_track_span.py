"""In and out points of `masklet track`: nothing is followed or written beyond them, and frames keep their numbers."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from masklet.formats.davis import read_index_png
from masklet.formats.registry import read_masks
from masklet.media.source import open_video
from masklet.video import VideoTracker
from tests.cli.conftest import Read, Run, error_of
from tests.formats.sounding import BLIP, begin_of_tone, shown, source_with_sound

BOX = "28,4,74,50"


@pytest.fixture
def whole(run: Run, tmp_path: Path, weights: Path, video: Path) -> Path:
    """What comes of frame 2 in both directions without in and out points."""
    out = tmp_path / "whole"
    assert run("track", video, "--box", f"2:1:{BOX}", "--both", "--model", weights, "--out", out) == 0
    return out


@pytest.mark.parametrize(
    ("prompt", "wishes", "frames"),
    [
        (2, ["--both", "--start", "1", "--stop", "4"], [1, 2, 3]),
        (2, ["--stop", "4"], [2, 3]),
        (2, ["--reverse", "--start", "1"], [1, 2]),
        (2, ["--both", "--start", "2", "--stop", "3"], [2]),
        (2, ["--both", "--start", "1", "--stop", "400"], [1, 2, 3, 4]),
    ],
)
def test_masks_between_the_points_are_those_of_a_whole_run(
    run: Run,
    tmp_path: Path,
    weights: Path,
    video: Path,
    whole: Path,
    prompt: int,
    wishes: list[str],
    frames: list[int],
) -> None:
    out = tmp_path / "out"
    command = ("track", video, "--box", f"{prompt}:1:{BOX}", "--model", weights, "--out", out, "--format", "coco")
    assert run(*command, *wishes) == 0
    assert [path.name for path in sorted((out / "masks").iterdir())] == [f"{frame:05d}.png" for frame in frames]
    for frame in frames:
        there = read_index_png(whole / f"masks/{frame:05d}.png")
        assert np.array_equal(read_index_png(out / f"masks/{frame:05d}.png"), there)
    assert [found.frame for found in read_masks("coco", out / "formats/coco.json")] == frames
    with open_video(out / "overlay.mp4") as film:
        assert len(list(film.frames())) == len(frames)
    with VideoTracker.open(out / "session.masklet", video, weights) as tracker:
        assert tracker.known_frames() == frames


def test_points_that_move_apart_go_on_and_points_that_move_together_write_less(
    run: Run, tmp_path: Path, weights: Path, video: Path, whole: Path
) -> None:
    out = tmp_path / "out"
    command = ("track", video, "--box", f"2:1:{BOX}", "--both", "--model", weights, "--out", out, "--format", "mots")
    assert run(*command, "--start", "2", "--stop", "4") == 0
    assert run(*command, "--start", "1") == 0
    for frame in range(1, 5):
        there = read_index_png(whole / f"masks/{frame:05d}.png")
        assert np.array_equal(read_index_png(out / f"masks/{frame:05d}.png"), there)
    assert run(*command, "--start", "2", "--stop", "4") == 0
    frames = {line.split()[0] for line in (out / "formats/mots.txt").read_text("ascii").splitlines()}
    assert frames <= {"2", "3"}


def test_films_begin_at_the_in_point_with_its_timecode_and_sound(run: Run, tmp_path: Path, weights: Path) -> None:
    video = source_with_sound(tmp_path / "beach.mov", "aac", timecode="10:00:00:00")
    out = tmp_path / "out"
    command = ("track", video, "--box", "12:dog:6,6,26,42", "--both", "--model", weights, "--out", out)
    assert run(*command, "--start", "10", "--stop", "34", "--format", "prores", "--format", "exr") == 0
    film = out / "formats/beach-prores.mov"
    assert shown(film) == pytest.approx([frame / 24 for frame in range(24)])
    assert begin_of_tone(film) == pytest.approx(BLIP - 10 / 24, abs=0.03)
    with av.open(str(film)) as container:
        assert container.streams.video[0].metadata["timecode"] == "10:00:00:10"
    openexr = pytest.importorskip("OpenEXR")
    sequence = sorted((out / "formats/beach-exr").iterdir())
    assert [path.stem for path in sequence] == [f"{frame:05d}" for frame in range(10, 34)]
    code = openexr.File(str(sequence[0])).header()["timeCode"]
    assert (code.hours, code.seconds, code.frame) == (10, 0, 10)


def test_everything_between_the_points(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    out = tmp_path / "out"
    command = ("track", video, "--everything", "--points-per-side", "4", "--model", weights, "--out", out)
    assert run(*command, "--start", "1", "--stop", "4") == 0
    assert [path.name for path in sorted((out / "masks").iterdir())] == ["00001.png", "00002.png", "00003.png"]


@pytest.mark.parametrize(
    ("wishes", "code", "said"),
    [
        (["--start", "3"], 1, "the prompt of 1 lies in frame 2, before --start 3; give one on another frame"),
        (["--stop", "2"], 1, "the prompt of 1 lies in frame 2, not before --stop 2; give one on another frame"),
        (["--start", "3", "--stop", "3"], 2, "--stop is 3 and --start 3; give a stop after it"),
        (["--start", "-1"], 2, "greater than or equal to 0"),
    ],
)
def test_points_that_cannot_be(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read, wishes: list[str], code: int, said: str
) -> None:
    out = tmp_path / "out"
    assert run("track", video, "--box", f"2:1:{BOX}", "--model", weights, "--out", out, *wishes) == code
    assert said in error_of(capsys)
    assert not out.exists()


def test_a_session_with_a_prompt_before_the_in_point_is_refused_and_stays(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    command = ("track", video, "--model", weights, "--out", tmp_path / "out", "--box")
    assert run(*command, f"0:1:{BOX}") == 0
    before = (tmp_path / "out/session.masklet").read_bytes()
    assert run(*command, f"3:2:{BOX}", "--start", "2") == 1
    assert "the prompt of 1 lies in frame 0, before --start 2" in error_of(capsys)
    assert (tmp_path / "out/session.masklet").read_bytes() == before
