"""The frame that is looked at: read ahead in a thread when frames are looked at in a row, and only then; encoded ahead
when it is known which comes next."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from masklet.checkpoints import Model
from masklet.errors import MediaError
from masklet.media.frames import ArrayFrames
from masklet.media.source import Frame
from masklet.nn import Levels
from masklet.video import VideoTracker, reader, tracker
from masklet.video.reader import ENCODE_AHEAD, READ_AHEAD, FrameReader, bytes_of, optical_flow
from tests.conftest import GOLDEN, small_network


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
    return sum(thread.name.startswith("masklet-read-ahead") for thread in threading.enumerate())


@pytest.fixture
def source() -> Counted:
    return Counted()


@pytest.fixture
def head(source: Counted) -> Iterator[FrameReader]:
    head = FrameReader(source, engine=None)  # type: ignore[arg-type]
    yield head
    head.close()
    assert readers() == 0


def test_one_frame_reads_no_others(source: Counted, head: FrameReader) -> None:
    assert head.seek(3).index == 3
    assert source.given == [3]
    assert readers() == 0


def test_frames_in_a_row_are_read_ahead_and_come_in_order(source: Counted, head: FrameReader) -> None:
    assert [head.seek(frame).index for frame in (0, 1)] == [0, 1]
    assert readers() == 1
    assert [head.seek(frame).index for frame in (2, 3, 4)] == [2, 3, 4]
    assert source.given == [0, 1, 2, 3, 4]
    assert READ_AHEAD >= 1
    with pytest.raises(MediaError, match="frame 5 cannot be read"):
        head.seek(5)


def test_turning_back_ends_the_thread(head: FrameReader) -> None:
    for frame in (0, 1, 2, 1, 0):
        assert head.seek(frame).index == frame
    assert readers() == 0


class Encoder(Model):
    """A small model of which it is known in which thread each frame was encoded."""

    def __init__(self) -> None:
        super().__init__("golden-small", small_network())
        self.threads: list[str] = []

    def encode_image(self, images: torch.Tensor) -> Levels:
        self.threads.append(threading.current_thread().name.rpartition("_")[0] or "here")
        return super().encode_image(images)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def encoding(source: Counted, two_threads: None) -> Iterator[FrameReader]:
    head = FrameReader(source, Encoder())
    yield head
    head.close()
    assert "masklet-encode-ahead" not in names()


def names() -> set[str]:
    """Of all threads, without their numbers."""
    return {thread.name.rpartition("_")[0] or thread.name for thread in threading.enumerate()}


def threads_of(head: FrameReader) -> list[str]:
    """Where each frame was encoded, in order."""
    assert isinstance(head._engine, Encoder)
    return head._engine.threads


def test_a_prepared_frame_is_there_with_its_features(encoding: FrameReader) -> None:
    encoding.seek(0)
    first = encoding.features()
    encoding.encode_ahead(1)
    assert encoding.seek(1).index == 1
    assert all(torch.equal(a, b) for a, b in zip(encoding.features(), first, strict=True))  # all frames are black
    encoding.encode_ahead(0)  # backward too
    assert encoding.seek(0).index == 0
    encoding.features()
    assert threads_of(encoding) == ["here", "masklet-encode-ahead", "masklet-encode-ahead"]


@pytest.mark.parametrize("step", [1, -1])
def test_optical_flow_is_prepared_too(two_threads: None, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The same flow as without preparing, to the frame before in either direction, and found in the thread."""
    engine, places = Encoder(), list[str]()
    monkeypatch.setattr(type(engine), "config", replace(engine.config, head="refining", motion="flow"))
    found = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    frames = np.stack([np.roll(found, 3 * n, axis=1) for n in range(5)])
    plain, head = (FrameReader(ArrayFrames(frames), engine) for _ in range(2))

    def noted(*arguments: Any) -> np.ndarray:
        places.append(threading.current_thread().name.rpartition("_")[0])
        return optical_flow(*arguments)

    monkeypatch.setattr(reader, "optical_flow", noted)
    plain.seek(2 + step)
    head.seek(2)
    head.encode_ahead(2 + step)
    head.seek(2 + step)
    assert np.array_equal(head.flow_to(2), plain.flow_to(2))
    assert sorted(places) == ["", "masklet-encode-ahead"]
    assert np.array_equal(head.flow_to(2 + 2 * step), plain.flow_to(2 + 2 * step))  # to another one
    head.close()
    plain.close()


def test_another_frame_than_the_prepared_one_is_found_too(encoding: FrameReader) -> None:
    encoding.seek(0)
    for prepared, wanted in ((1, 3), (4, 1), (2, 0)):
        encoding.encode_ahead(prepared)
        assert encoding.seek(wanted).index == wanted
        assert encoding.find(wanted + 1).index == wanted + 1  # type: ignore[union-attr]


def test_what_goes_wrong_ahead_is_told_when_the_frame_is_looked_at(encoding: FrameReader) -> None:
    encoding.seek(4)
    encoding.encode_ahead(5)
    assert encoding.seek(4).index == 4
    with pytest.raises(MediaError, match="frame 5 cannot be read"):
        encoding.find(5)
    with pytest.raises(MediaError, match="frame 5 cannot be read"):
        encoding.find(5)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, MemoryError])
def test_after_an_interruption_the_same_frame_comes(
    encoding: FrameReader, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    """Ctrl-C while the prepared frame is waited for, and a network that finds no room."""

    def failing(*arguments: object) -> None:
        raise fault

    encoding.seek(0)
    with monkeypatch.context() as patched:
        if fault is KeyboardInterrupt:
            patched.setattr(reader, "wait", failing)
        else:
            patched.setattr(encoding._engine, "encode_image", failing)
        encoding.encode_ahead(1)
        with pytest.raises(fault):
            encoding.find(1)
    assert encoding.seek(0).index == 0
    for frame in (1, 2, 3):
        assert encoding.seek(frame).index == frame


def test_past_the_end_nothing_is_prepared(two_threads: None) -> None:
    head = FrameReader(ArrayFrames(np.zeros((2, 8, 8, 3), np.uint8)), Encoder())
    head.seek(1)
    head.encode_ahead(2)
    assert head.find(2) is None
    head.close()


def test_closing_waits_for_what_is_prepared(encoding: FrameReader) -> None:
    encoding.seek(0)
    encoding.encode_ahead(1)
    encoding.close()
    assert "masklet-encode-ahead" not in names()


def test_one_thread_prepares_nothing(encoding: FrameReader) -> None:
    torch.set_num_threads(1)
    encoding.seek(0)
    encoding.encode_ahead(1)
    encoding.seek(1)
    encoding.features()
    assert threads_of(encoding) == ["here"]


@pytest.mark.parametrize("objects", [ENCODE_AHEAD, ENCODE_AHEAD + 1])
def test_a_few_objects_are_followed_as_without_encoding_ahead(
    two_threads: None, monkeypatch: pytest.MonkeyPatch, objects: int
) -> None:
    """The same masks to the last bit, backward and after a pass that was broken off; beside many nothing is encoded."""

    def followed() -> tuple[list[np.ndarray], set[str]]:
        engine = Encoder()
        masks = []
        with VideoTracker(GOLDEN / "video/frames", engine) as video:
            for name in range(objects):
                video.add_box(frame=3, object=name, box=(28 + name, 4, 74, 50))
            for result in video.propagate(stop_when_unsure=False):
                if result.frame == 5:
                    break
            for result in video.propagate(start=5, stop=-1, direction="backward"):
                masks.append(np.stack([found.logits for found in result.objects.values()]))
        return masks, set(engine.threads)

    ahead, threads = followed()
    assert ("masklet-encode-ahead" in threads) == (objects <= ENCODE_AHEAD)
    monkeypatch.setattr(tracker, "ENCODE_AHEAD", 0)
    plain, threads = followed()
    assert "masklet-encode-ahead" not in threads
    assert all(np.array_equal(a, b) for a, b in zip(ahead, plain, strict=True))


def test_features_are_kept_within_a_budget() -> None:
    encoder = Encoder()
    source = ArrayFrames(np.zeros((5, 8, 8, 3), np.uint8))
    head = FrameReader(source, encoder)
    head.seek(0)
    size = bytes_of(head.features())
    head.close()
    head = FrameReader(source, encoder, budget=3 * size)
    encoder.threads.clear()
    for frame in (0, 1, 2, 1, 0, 2):
        head.seek(frame)
        head.features()
    assert len(encoder.threads) == 3
    for frame in (3, 4, 2, 0):  # 0 and 1 made room
        head.features_of(frame)
    assert len(encoder.threads) == 6
    head.close()


def test_flow_to_a_frame_before_reads_that_alone(
    source: Counted, encoding: FrameReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, read = list[int](), source.read
    monkeypatch.setattr(source, "read", lambda frame: (asked.append(frame), read(frame))[1])
    encoding.seek(3)
    encoding.flow_to(2)
    assert asked == [3, 2]  # the first is where it was sent
