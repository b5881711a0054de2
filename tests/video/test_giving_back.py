"""Trackers that are closed give back what they held: memory, files and threads."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from masklet import VideoTracker
from masklet.engines.fake import FakeEngine

PROC = Path("/proc/self")


@pytest.fixture(scope="module")
def model() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of a megabyte each, so that one that is not given back shows."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for shade in (60, 120, 180):
            picture = np.full((480, 640, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int((PROC / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(list((PROC / "fd").iterdir()))


def track(video: Path, model: FakeEngine) -> None:
    with VideoTracker(video, model) as tracker:
        tracker.add_box(frame=0, object=1, box=(100, 100, 500, 400))
        for result in tracker.propagate(stop=2):
            assert result.objects[1].mask.shape == (480, 640)


@pytest.mark.skipif(not PROC.exists(), reason="resident memory and open files are read from /proc")
def test_fifty_trackers_leave_nothing_behind(video: Path, model: FakeEngine) -> None:
    for _ in range(5):  # what libraries keep for themselves
        track(video, model)
    gc.collect()
    memory, files, threads = resident(), open_files(), threading.active_count()
    for _ in range(50):
        track(video, model)
    assert (open_files(), threading.active_count()) == (files, threads)
    assert resident() - memory < 30 * 2**20, "closed trackers keep memory"


def test_a_pass_that_was_left_midway_leaves_nothing_either(video: Path, model: FakeEngine) -> None:
    before = threading.active_count()
    tracker = VideoTracker(video, model)
    tracker.add_box(frame=0, object=1, box=(100, 100, 500, 400))
    results = tracker.propagate()
    next(results)
    tracker.close()
    assert threading.active_count() == before
