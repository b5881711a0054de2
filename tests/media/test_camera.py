"""Live sources, with devices that are made up: no camera and no network is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.camera import Camera, Patience, live_stream, open_device
from tests.media.clips import Clip, moving, write_clip

BRIEF = Patience(first=0.001, longest=0.002, total=0.05)


class MadeUp:
    """Gives the pictures that it was told to; an exception is raised, a callable is called, None is the end."""

    def __init__(self, script: Sequence[object]) -> None:
        self.script = list(script)
        self.closed = False

    def __next__(self) -> NDArray[np.uint8]:
        assert not self.closed, "a closed device was read"
        item = self.script.pop(0) if self.script else None
        item = item() if callable(item) else item
        if isinstance(item, Exception):
            raise item
        if item is None:
            raise StopIteration
        return item  # type: ignore[return-value]

    def close(self) -> None:
        self.closed = True


class Opener:
    """Opens one device after another; an exception in the list is raised, and so is the last at the end."""

    def __init__(self, *devices: MadeUp | Exception) -> None:
        self.devices = list(devices)
        self.opened: list[int | str] = []

    def __call__(self, place: int | str) -> MadeUp:
        self.opened.append(place)
        device = self.devices.pop(0) if self.devices else MediaError("camera 0 cannot be opened")
        if isinstance(device, Exception):
            raise device
        return device


def picture(value: int, size: tuple[int, int] = (4, 6)) -> NDArray[np.uint8]:
    return np.full((*size, 3), value, np.uint8)


def paced(value: int, go: threading.Semaphore) -> Callable[[], NDArray[np.uint8]]:
    """A picture that comes when the test lets it."""

    def wait() -> NDArray[np.uint8]:
        go.acquire()
        return picture(value)

    return wait


def test_frames_come_until_the_device_stays_away() -> None:
    go = threading.Semaphore(0)
    device = MadeUp([picture(0), *(paced(value, go) for value in (1, 2, 3))])
    camera = Camera(0, opener=Opener(device), patience=BRIEF)
    assert (camera.size, camera.rate, camera.frame_count, camera.seekable) == ((4, 6), None, None, False)
    values, times = [], []
    for frame in camera:
        assert frame.index == len(values)
        values.append(int(frame.image[0, 0, 0]))
        times.append(frame.time)
        go.release()
    assert values == [0, 1, 2, 3]
    assert times == sorted(times)
    assert camera.ended_early == "camera 0 went away after frame 3: camera 0 cannot be opened (waited 0.05 s)"
    assert device.closed
    camera.close()


def test_only_the_newest_frame_is_kept() -> None:
    hold = threading.Semaphore(0)
    camera = Camera(0, opener=Opener(MadeUp([*map(picture, range(50)), paced(99, hold)])), patience=BRIEF)
    while camera.captured < 50:
        time.sleep(0.001)
    frames = iter(camera)
    assert next(frames).image[0, 0, 0] == 49
    hold.release()
    last = next(frames)
    assert (last.index, last.image[0, 0, 0], camera.captured, camera.passed_over) == (1, 99, 51, 49)
    camera.close()


def test_a_device_that_comes_back_is_opened_again() -> None:
    go = threading.Semaphore(0)
    first, second = MadeUp([picture(1)]), MadeUp([paced(2, go), paced(3, go)])
    opener = Opener(first, MediaError("not yet"), MediaError("not yet"), second)
    with Camera("rtsp://door", opener=opener, patience=BRIEF) as camera:
        values = []
        for frame in camera:
            values.append(int(frame.image[0, 0, 0]))
            go.release()
    assert values == [1, 2, 3]
    assert opener.opened[:4] == ["rtsp://door"] * 4
    assert first.closed
    assert second.closed


def test_a_device_that_takes_long_to_tell_its_loss_is_opened_again_all_the_same() -> None:
    go = threading.Semaphore(0)

    def late() -> None:
        time.sleep(2 * BRIEF.total)

    opener = Opener(MadeUp([picture(1), late]), MadeUp([paced(2, go), late]))
    with Camera(0, opener=opener, patience=BRIEF) as camera:
        values = []
        for frame in camera:
            values.append(int(frame.image[0, 0, 0]))
            go.release()
    assert values == [1, 2]
    assert len(opener.opened) > 2


def test_a_camera_that_is_away_says_so_until_it_is_back() -> None:
    back, end = threading.Semaphore(0), threading.Semaphore(0)
    devices = iter([MadeUp([picture(1)]), MadeUp([paced(2, back), paced(3, end)])])
    with Camera(0, opener=lambda place: next(devices), patience=Patience(first=0.001, total=5)) as camera:
        frames = iter(camera)
        next(frames)
        while camera.lost is None:
            time.sleep(0.001)
        assert camera.lost == "it gives no more pictures"
        back.release()
        frame = next(frames)
        assert frame.image[0, 0, 0] == 2
        assert camera.lost is None
        assert camera.age(frame) >= 0
        end.release()


def test_another_size_after_coming_back_is_scaled() -> None:
    go = threading.Semaphore(0)
    opener = Opener(MadeUp([picture(1)]), MadeUp([lambda: (go.acquire(), picture(2, size=(8, 12)))[1]]))
    with Camera(0, opener=opener, patience=BRIEF) as camera:
        frames = iter(camera)
        next(frames)
        go.release()
        assert next(frames).image.shape == (4, 6, 3)


def test_closing_ends_an_iteration_that_waits() -> None:
    hold = threading.Semaphore(0)
    device = MadeUp([picture(0), paced(1, hold)])
    camera = Camera(0, opener=Opener(device), patience=BRIEF)
    frames = iter(camera)
    next(frames)
    timer = threading.Timer(0.05, lambda: (hold.release(), camera.close()))
    timer.start()
    assert len(list(frames)) <= 1  # the picture may come before the end
    timer.join()
    assert device.closed
    assert not any(thread.name == "masklet-camera" for thread in threading.enumerate())
    with pytest.raises(MediaError, match="camera 0 was closed; open it again"):
        camera.frames()


def test_what_a_device_raises_reaches_who_iterates() -> None:
    camera = Camera(0, opener=Opener(MadeUp([picture(0), RuntimeError("the driver broke")])), patience=BRIEF)
    with pytest.raises(RuntimeError, match="the driver broke"):
        list(camera)
    camera.close()


def test_a_range_counts_frames_that_are_given_out() -> None:
    go = threading.Semaphore(0)
    script = [picture(0), *(paced(value, go) for value in range(1, 9))]
    with Camera(0, opener=Opener(MadeUp(script)), patience=BRIEF) as camera:
        indices = []
        for frame in camera.frames(stop=3):
            indices.append(frame.index)
            go.release()
        assert indices == [0, 1, 2]


def test_no_camera_is_named() -> None:
    with pytest.raises(MediaError, match="camera 0 cannot be opened"):
        Camera(0, opener=Opener())
    dark = MadeUp([None])
    with pytest.raises(MediaError, match="camera 0 opens but gives no picture"):
        Camera(0, opener=Opener(dark))
    assert dark.closed


def test_a_live_frame_cannot_be_read_by_number() -> None:
    with (
        Camera(0, opener=Opener(MadeUp([picture(0)])), patience=BRIEF) as camera,
        pytest.raises(MediaError, match="camera 0 is live"),
    ):
        camera.read(0)


@pytest.mark.parametrize(("place", "message"), [
    (-1, "camera is -1; cameras are counted from 0"),
    ("https://host/film.MP4?x=1", "is a file, not a live stream; download it"),
    ("nosuch://host/live", "nosuch://host/live cannot be opened: .*; is the address right"),
])  # fmt: skip
def test_place_that_cannot_be_opened_is_named(place: int | str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        next(open_device(place))


def test_a_stream_gives_pictures_to_its_end(tmp_path: Path) -> None:
    images = list(live_stream(str(write_clip(tmp_path / "clip.mkv", Clip(".mkv", count=5)))))
    assert len(images) == 5
    for frame, image in enumerate(images):
        assert np.abs(image.astype(int) - moving(frame)).mean() < 30
