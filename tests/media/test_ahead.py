from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from masklet.errors import MediaError
from masklet.media.frames import THREAD, read_ahead
from masklet.media.video_file import VideoFile
from tests.media.clips import Clip, write_clip


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD)]


def wait_until(done: object) -> None:
    deadline = time.monotonic() + 5
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, "nothing happened for five seconds"
        time.sleep(0.001)


def test_the_same_items_in_the_same_order() -> None:
    assert list(read_ahead(range(50))) == list(range(50))
    assert list(read_ahead([])) == []
    assert threads() == []


def test_frames_of_a_video(tmp_path: Path) -> None:
    with VideoFile(write_clip(tmp_path / "clip.mp4", Clip(".mp4", count=20))) as source:
        for ahead, expected in zip(read_ahead(source.frames(3)), source.frames(3), strict=True):
            assert ahead.index == expected.index
            np.testing.assert_array_equal(ahead.image, expected.image)
    assert threads() == []


def test_no_more_is_made_than_there_is_room_for() -> None:
    made: list[int] = []

    def make() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    items = read_ahead(make(), depth=2)
    assert next(items) == 0
    wait_until(lambda: len(made) == 3)
    time.sleep(0.02)
    assert len(made) == 3
    items.close()  # type: ignore[attr-defined]
    assert threads() == []


def test_an_error_comes_after_the_items_before_it() -> None:
    def make() -> Iterator[int]:
        yield 0
        yield 1
        raise MediaError("the third is damaged")

    items = read_ahead(make())
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(MediaError, match="the third is damaged"):
        next(items)
    assert list(items) == []
    assert threads() == []


def test_leaving_early_closes_the_maker() -> None:
    closed = threading.Event()

    def make() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    for item in read_ahead(make()):
        if item == 3:
            break
    wait_until(closed.is_set)
    wait_until(lambda: threads() == [])


def test_an_iterator_that_is_let_go_leaves_no_thread() -> None:
    items = read_ahead(range(1000))
    next(items)
    assert len(threads()) == 1
    del items
    wait_until(lambda: threads() == [])


def test_a_program_ends_with_an_iterator_half_read() -> None:
    program = "from masklet.media.frames import read_ahead; items = read_ahead(range(1000)); print(next(items))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
