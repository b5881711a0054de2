"""A file in a camera's place: pictures when they are due, and a proper end."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import pytest

from masklet.errors import MediaError
from masklet.media.camera import Camera, Device, Finished, Patience, played
from masklet.media.source import open_video
from tests.media.clips import Clip, write_clip

AT_ONCE = Patience(total=0)


def opened(path: Path | str | int) -> Device:
    return played(open_video(path))


def test_pictures_come_when_they_are_due(tmp_path: Path) -> None:
    player = opened(write_clip(tmp_path / "clip.mkv", Clip(".mkv", count=3, pts=[0, 40, 240])))
    began = monotonic()
    for due in (0.0, 0.04, 0.24):
        image = next(player)
        assert image.shape == (48, 64, 3)
        assert monotonic() - began >= due - 0.05
    with pytest.raises(Finished):
        next(player)


def test_as_a_camera_it_ends_without_complaint(tmp_path: Path) -> None:
    path = str(write_clip(tmp_path / "clip.mp4", Clip(".mp4", count=6)))
    with Camera(path, opener=opened, patience=AT_ONCE) as camera:
        frames = [frame.index for frame in camera]
        assert frames == list(range(len(frames)))
        assert camera.captured == 6
        assert camera.passed_over == 6 - len(frames)
        assert camera.ended_early is None
        assert camera.lost is None


def test_a_file_that_breaks_off_says_where(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", Clip(".mkv", count=40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Camera(str(path), opener=opened, patience=AT_ONCE) as camera:
        list(camera)
        assert camera.ended_early is not None
        assert "clip.mkv breaks off after frame" in camera.ended_early
        assert "waited" not in camera.ended_early


def test_nothing_at_a_path() -> None:
    with pytest.raises(MediaError, match="there is nothing at gone"):
        Camera("gone.mp4", opener=opened, patience=AT_ONCE)
