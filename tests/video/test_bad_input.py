"""What goes wrong outside: damaged videos, foreign files, full disks, kills. Each is told, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError, MediaError, SessionError
from masklet.video import VideoTracker
from tests.conftest import GOLDEN
from tests.media.clips import moving
from tests.video.test_session import run

CLIP = GOLDEN / "video/frames"


@pytest.fixture(scope="module")
def model() -> FakeEngine:
    return FakeEngine()


def test_a_truncated_mp4_says_at_which_frame_it_ends(model: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=24, options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moving(frame), format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with VideoTracker(path, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(30, 20)])
        frames = list(run(tracker))
        assert frames == [*range(len(frames))]
        assert 5 < len(frames) < 40
        assert f"clip.mp4 breaks off after frame {frames[-1]} (" in (tracker.source.ended_early or "")
        with pytest.raises(MediaError, match=f"breaks off after frame {frames[-1]}"):
            tracker.add_points(frame=39, object=1, points=[(30, 20)])
        assert tracker.known_frames() == frames


def test_an_empty_folder_is_no_video(model: FakeEngine, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no pictures"):
        VideoTracker(tmp_path, model)


def test_a_frame_of_another_size_is_named_and_what_was_found_stays(model: FakeEngine, tmp_path: Path) -> None:
    for frame in range(4):
        Image.new("RGB", (160, 120) if frame < 3 else (80, 60)).save(tmp_path / f"{frame:05d}.png")
    with VideoTracker(tmp_path, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(80, 60)])
        with pytest.raises(MediaError, match=r"00003\.png is 80 x 60"):
            run(tracker)
        assert tracker.known_frames() == [0, 1, 2]
        tracker.save(tmp_path / "kept.masklet")


def test_a_video_of_one_frame(model: FakeEngine) -> None:
    """The reference answers a click after following with NaN."""
    picture = np.asarray(Image.open(CLIP / "00000.png"))
    with VideoTracker([picture], model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(80, 60)])
        assert list(run(tracker)) == [0]
        assert list(run(tracker, direction="both"))[-1] == 0
        clicked = tracker.add_points(frame=0, object=1, points=[(5, 110)], labels=[0])
        assert np.isfinite(clicked.objects[1].logits).all()


def test_clearing_the_only_prompt_and_clicking_again(model: FakeEngine) -> None:
    """The reference ends in an AssertionError, and cannot go on."""
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(80, 60)])
        run(tracker, stop=5)
        tracker.clear(0, 1)
        tracker.add_points(frame=3, object=1, points=[(20, 20)])
        assert set(run(tracker, start=3, stop=6)) == {3, 4, 5}
        with pytest.raises(SessionError, match="there is no object 42"):
            tracker.clear(0, 42)  # the reference makes one, and cannot go on
        assert set(tracker.tracks) == {1}


def saved(model: FakeEngine, path: Path) -> Path:
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(80, 60)])
        run(tracker, stop=4)
        tracker.save(path)
    return path


def test_a_project_of_a_newer_version(model: FakeEngine, tmp_path: Path) -> None:
    path = saved(model, tmp_path / "clip.masklet")
    newer = tmp_path / "newer.masklet"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(newer, "w") as new:
        for info in old.infolist():
            new.writestr(info, old.read(info).replace(b'"version":1', b'"version":99'))
    with pytest.raises(FormatError, match="is of version 99, and this masklet reads up to 1; update masklet"):
        VideoTracker.open(newer, model=model)


def test_a_project_with_a_path_that_leaves_its_folder(model: FakeEngine, tmp_path: Path) -> None:
    path = saved(model, tmp_path / "clip.masklet")
    with zipfile.ZipFile(path, "a") as members:
        members.writestr("../evil", b"")
    with pytest.raises(FormatError, match="a path that leaves its folder"):
        VideoTracker.open(path, model=model)


SAVING = """
import sys
from masklet.engines.fake import FakeEngine
from masklet.video import VideoTracker
with VideoTracker(sys.argv[1], FakeEngine()) as tracker:
    tracker.add_points(frame=0, object=1, points=[(80, 60)])
    for _ in tracker.propagate(stop=8):
        pass
    print("begun", flush=True)
    while True:
        tracker.save(sys.argv[2])
"""


def test_a_kill_in_the_middle_of_a_save_leaves_the_last_whole_file(model: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "kept/clip.masklet"
    path.parent.mkdir()
    arguments = [sys.executable, "-c", SAVING, str(CLIP), str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}) as saving:
        assert saving.stdout is not None
        assert saving.stdout.readline() == b"begun\n"
        deadline = time.monotonic() + 60
        while not (path.exists() and list(path.parent.glob(".*.partial"))) and time.monotonic() < deadline:
            pass
        saving.send_signal(signal.SIGKILL)
    with VideoTracker.open(path, model=model) as tracker:
        assert tracker.known_frames() == [*range(8)]
        assert set(run(tracker, start=7, stop=10)) == {7, 8, 9}
        tracker.save(path)
    VideoTracker.open(path, model=model).close()


FULL = """
import resource, sys
from masklet.engines.fake import FakeEngine
from masklet.errors import MaskletError
from masklet.video import VideoTracker
with VideoTracker(sys.argv[1], FakeEngine()) as tracker:
    tracker.add_points(frame=0, object=1, points=[(80, 60)])
    for _ in tracker.propagate(stop=8):
        pass
    tracker.save(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        tracker.save(sys.argv[2])
    except MaskletError as error:
        print(error)
    print(tracker.known_frames())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    tracker.save(sys.argv[3])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files, which Windows has not")
def test_a_full_disk_while_saving_leaves_the_old_file(model: FakeEngine, tmp_path: Path) -> None:
    first, second = tmp_path / "first.masklet", tmp_path / "second.masklet"
    arguments = [str(CLIP), str(first), str(second)]
    done = subprocess.run([sys.executable, "-c", FULL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sentence, frames = done.stdout.splitlines()
    assert f"{first} cannot be written: " in sentence
    assert frames == str([*range(8)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.masklet", "second.masklet"]
    for path in (first, second):
        with VideoTracker.open(path, model=model) as tracker:
            assert tracker.known_frames() == [*range(8)]
