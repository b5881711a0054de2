"""Cameras, live streams and files in their place: only the newest frame is kept; what goes away is opened again."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Condition, Event, Thread
from time import monotonic, sleep
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.container import ANY_ENCODING, largest_stream
from masklet.media.display import display_of, shown_picture
from masklet.media.frames import Frame, FrameSource, read_ahead

CLOSE_SECONDS = 10.0
"""Seconds that closing waits for a device that is in the middle of a read."""

RECORDED_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
"""Endings of URLs that lead to files. Read live, most of its frames would be passed over."""

STREAM_TIMEOUTS = (10.0, 5.0)
"""Seconds that opening a stream and reading from it may take."""


Device = Generator[NDArray[np.uint8], None, None]
"""Pictures as they come, (H, W, 3), RGB. Its end says that no more come for now, `Finished` that none will."""


class Finished(Exception):
    """A device has come to its proper end, as a file does: it is not opened again."""


def local_camera(number: int) -> Device:
    """A camera of this computer. Raises MediaError if it cannot be opened."""
    if number < 0:
        raise MediaError(f"camera is {number}; cameras are counted from 0")
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise MediaError(f"camera {number} cannot be opened; is it plugged in, and free of other programs?")
        while (read := capture.read())[0]:
            yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    finally:
        capture.release()


def live_stream(url: str) -> Device:
    """A live stream, such as rtsp://, rtmp://, srt:// or the playlist of HLS; the path of a video file, for tests, is
    played as fast as it is read. Raises MediaError if it cannot be opened, or breaks off."""
    try:
        container = av.open(url, "r", timeout=STREAM_TIMEOUTS, **ANY_ENCODING)
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{url} cannot be opened: {error.strerror}; is the address right?") from error
    with container:
        stream, display = largest_stream(container), None
        if stream is None:
            raise MediaError(f"{url} holds no video; give a stream with a picture")
        try:
            for picture in container.decode(stream):
                display = display or display_of(stream, picture)
                yield shown_picture(picture, display)
        except av.FFmpegError as error:
            raise MediaError(f"{url} broke off: {error.strerror}") from error


def played(source: FrameSource) -> Device:
    """A video in a camera's place: at its own rate, by its own times, to its end, where it is closed. Raises Finished
    there, and MediaError, which names the frame, if the video breaks off."""
    with source:
        began: float | None = None
        for frame in read_ahead(source.frames()):
            began = monotonic() - frame.time if began is None else began
            sleep(max(0.0, began + frame.time - monotonic()))
            yield frame.image
        if source.ended_early:
            raise MediaError(source.ended_early)
    raise Finished


def open_device(place: int | str) -> Device:
    """A camera by its number, or a stream by its URL."""
    if not isinstance(place, str):
        return local_camera(int(place))
    if PurePosixPath(urlsplit(place).path).suffix.lower() in RECORDED_SUFFIXES:
        raise MediaError(f"{place} is a file, not a live stream; download it, then give its path")
    return live_stream(place)


@dataclass(frozen=True)
class Patience:
    """How long a device that gives nothing is waited for.

    first   seconds until it is opened again; doubled after each failure
    longest seconds between two attempts, at most
    total   seconds after its loss was noticed, when it is given up; 0 for no attempt at all
    """

    first: float = 0.5
    longest: float = 8.0
    total: float = 60.0


class Camera(FrameSource):
    """Frames as they come: whoever is slow gets the newest one, and those in between are gone. For one iteration at a
    time, which drops those before its `start`.

    place     the number of a camera, or the URL of a stream
    patience  how long a device that went away is waited for
    opener    gives the pictures of the place; MediaError if it cannot be opened

    A frame's number says how many were given out before, its time is when it was captured. `captured` counts
    all frames that came, `lost` says why none come at the moment, None while they do. A stream that changes its
    size is scaled to the first frame's. When the device stays away, the iteration ends, and `ended_early` says so.
    Raises MediaError, when opened, if no first frame comes.
    """

    seekable = False

    def __init__(
        self,
        place: int | str,
        *,
        patience: Patience | None = None,
        opener: Callable[[int | str], Device] = open_device,
    ) -> None:
        self.place = place
        self.name = f"camera {place}" if isinstance(place, int) else place
        self.captured = 0
        self.lost: str | None = None
        self._patience = patience or Patience()
        self._opener = opener
        self._newest: Frame | None = None
        self._given = self._seen = 0  # frames given out; the number of the capture that was given last
        self._end: str | Exception | None = None  # why no frame will come any more; "" after a proper end
        self._changed = Condition()
        self._closing = Event()
        device = opener(place)
        try:
            image = next(device, None)
        except BaseException:
            device.close()
            raise
        if image is None:
            device.close()
            raise MediaError(f"{self.name} opens but gives no picture; is another program using it?")
        self.size: tuple[int, int] = (image.shape[0], image.shape[1])
        self._begin = monotonic()
        self._keep(image)
        self._thread = Thread(target=self._run, args=(device,), name="masklet-camera", daemon=True)
        self._thread.start()

    @property
    def passed_over(self) -> int:
        """Frames that came before the one that was given out last, and that nobody got."""
        return self._seen - self._given

    def age(self, frame: Frame) -> float:
        """Seconds since a frame of this camera was captured."""
        return monotonic() - self._begin - frame.time

    def read(self, frame: int) -> Frame:
        raise MediaError(f"{self.name} is live; its frames come once, in order, and cannot be read by number")

    def close(self) -> None:
        """Let the device go. Iterations that are under way end."""
        self._closed = True
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)

    def _frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        while stop is None or self._given < stop:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing.is_set() or self._end is not None or self.captured > self._seen
                )
                if self._closing.is_set():
                    return
                if self.captured == self._seen:
                    if isinstance(self._end, Exception):
                        raise self._end
                    if self._end:
                        waited = f" (waited {self._patience.total:g} s)" if self._patience.total else ""
                        self.ended_early = f"{self.name} went away after frame {self._given - 1}: {self._end}{waited}"
                    return
                assert self._newest is not None, "the first frame is there before the thread begins"
                frame = Frame(self._given, self._newest.time, self._newest.image)
                self._given, self._seen = self._given + 1, self.captured
            if frame.index >= start:
                yield frame

    def _run(self, device: Device) -> None:
        """The thread. However it ends, waiting threads are notified."""
        end: str | Exception
        try:
            end = self._capture(device)
        except Exception as error:  # handed over to the iteration: nobody would see it here
            end = error
        with self._changed:
            self._end = end
            self._changed.notify_all()

    def _capture(self, device: Device | None) -> str:
        """Read as fast as frames come, so that nothing old waits in the device. Returns why it stays away, if it does.

        A device may take long to tell that it gives nothing, so its time begins when it has told: it is opened again at
        least once.
        """
        pause, gone = self._patience.first, None
        while not self._closing.is_set():
            try:
                device = device or self._opener(self.place)
                image, why = next(device, None), "it gives no more pictures"
            except Finished:
                break
            except MediaError as error:
                image, why = None, str(error)
            if image is not None:
                self.lost = None
                self._keep(image)
                pause, gone = self._patience.first, None
                continue
            if device is not None:
                device.close()
                device = None
            self.lost = why
            now = monotonic()
            gone = now if gone is None else gone
            left = gone + self._patience.total - now
            if left <= 0:
                return why
            self._closing.wait(min(pause, left))
            pause = min(2 * pause, self._patience.longest)
        if device is not None:
            device.close()
        return ""

    def _keep(self, image: NDArray[np.uint8]) -> None:
        height, width = self.size
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        with self._changed:
            self._newest = Frame(self.captured, monotonic() - self._begin, image)
            self.captured += 1
            self._changed.notify_all()
