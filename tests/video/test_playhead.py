"""The frame that is looked at: read ahead in a thread when frames are looked at in a row, and only then."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from masklet.errors import MediaError
from masklet.media.arrays import ArrayFrames
from masklet.media.source import Frame
from masklet.video.playhead import AHEAD, Playhead


class Counted(ArrayFrames):
    """Six frames, of which it is known which were read."""

    def __init__(self) -> None:
        super().__init__(np.zeros((6, 8, 8, 3), np.uint8))
        self.given: list[int] = []

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for frame in super().frames(start, stop):
            if frame.index == 5:
                raise MediaError("frame 5 cannot be read")
            self.given.append(frame.index)
            yield frame


def readers() -> int:
    """Threads that read ahead."""
    return sum(thread.name == "masklet-read-ahead" for thread in threading.enumerate())


@pytest.fixture
def source() -> Counted:
    return Counted()


@pytest.fixture
def head(source: Counted) -> Iterator[Playhead]:
    head = Playhead(source, engine=None)  # type: ignore[arg-type]
    yield head
    head.close()
    assert readers() == 0


def test_one_frame_reads_no_others(source: Counted, head: Playhead) -> None:
    assert head.seek(3).index == 3
    assert source.given == [3]
    assert readers() == 0


def test_frames_in_a_row_are_read_ahead_and_come_in_order(source: Counted, head: Playhead) -> None:
    assert [head.seek(frame).index for frame in (0, 1)] == [0, 1]
    assert readers() == 1
    assert [head.seek(frame).index for frame in (2, 3, 4)] == [2, 3, 4]
    assert source.given == [0, 1, 2, 3, 4]
    assert AHEAD >= 1
    with pytest.raises(MediaError, match="frame 5 cannot be read"):
        head.seek(5)


def test_turning_back_ends_the_thread(head: Playhead) -> None:
    for frame in (0, 1, 2, 1, 0):
        assert head.seek(frame).index == frame
    assert readers() == 0
