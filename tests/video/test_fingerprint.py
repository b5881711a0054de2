"""What identifies a video is the same before it is read and after: a session opens its own video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError
from masklet.media.source import open_video
from masklet.video import VideoTracker
from masklet.video.project import fingerprint_of
from tests.media.clips import Clip, write_clip

CONTAINERS = {
    "mkv": Clip(".mkv", count=40),
    "flv": Clip(".flv", options={"g": "12", "bf": "0"}, count=40),
    "mpg": Clip(".mpg", "mpeg2video", {"g": "12"}, count=40),
    "no container": Clip(".h264", count=40),
    "mp4": Clip(".mp4", count=40),
}
"""In most of them nothing tells the number of frames before they are read."""


@pytest.mark.parametrize("name", CONTAINERS)
def test_reading_changes_no_fingerprint(name: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / f"clip{CONTAINERS[name].suffix}", CONTAINERS[name])
    with open_video(path) as source:
        before = fingerprint_of(source, str(path))
        source.read(38)
        on_the_way = fingerprint_of(source, str(path))
        assert len(list(source)) == 40
        assert before == on_the_way == fingerprint_of(source, str(path))


def test_a_session_opens_a_video_whose_length_was_not_known(tmp_path: Path) -> None:
    path, model = write_clip(tmp_path / "clip.flv", CONTAINERS["flv"]), FakeEngine()
    with VideoTracker(path, model) as tracker:
        tracker.add_box(frame=0, object=1, box=(10, 10, 40, 40))
        assert len(list(tracker.propagate())) == 40
        tracker.save(tmp_path / "clip.masklet")
    with VideoTracker.open(tmp_path / "clip.masklet", model=model) as tracker:
        assert tracker.known_frames() == list(range(40))


def test_pictures_in_memory_are_told_apart_by_their_number(tmp_path: Path) -> None:
    frames, model = [np.zeros((40, 60, 3), np.uint8)] * 4, FakeEngine()
    with VideoTracker(frames, model) as tracker:
        tracker.add_box(frame=0, object=1, box=(10, 10, 40, 30))
        tracker.save(tmp_path / "clip.masklet")
    VideoTracker.open(tmp_path / "clip.masklet", frames, model).close()
    with pytest.raises(FormatError, match="the number of frames is 4 there and 3 here"):
        VideoTracker.open(tmp_path / "clip.masklet", frames[:3], model)
