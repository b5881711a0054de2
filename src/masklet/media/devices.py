"""Sources of live frames: cameras through OpenCV, streams through PyAV, and files in a camera's place."""

from collections.abc import Generator, Iterator
from os import PathLike
from pathlib import PurePosixPath
from threading import Event
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.container import ANY_ENCODING, largest_stream
from masklet.media.display import display_of, shown
from masklet.media.frames import Frame, read_ahead
from masklet.media.source import open_video

RECORDED = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
"""Endings of URLs that lead to files. Read live, most of its frames would be passed over."""

TIMEOUT = (10.0, 5.0)
"""Seconds that opening a stream and reading from it may take."""


class Finished(Exception):
    """A device has come to its proper end, as a file does: it is not opened again."""


class Device(Protocol):
    """Something that gives pictures as they come."""

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, uint8 (H, W, 3), RGB, as soon as it is there; None if there are no more for now.

        Raises Finished where no more are meant to come.
        """
        ...

    def close(self) -> None:
        """Let the device go."""
        ...


def open_device(place: int | str) -> Device:
    """Open a camera by its number, or a stream by its URL. Raises MediaError if that fails."""
    if not isinstance(place, str):
        return LocalCamera(int(place))
    if PurePosixPath(urlsplit(place).path).suffix.lower() in RECORDED:
        raise MediaError(f"{place} is a file, not a live stream; download it, then give its path")
    return Stream(place)


class LocalCamera:
    """A camera of this computer. Raises MediaError if it cannot be opened."""

    def __init__(self, number: int) -> None:
        if number < 0:
            raise MediaError(f"camera is {number}; cameras are counted from 0")
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise MediaError(f"camera {number} cannot be opened; is it plugged in, and free of other programs?")

    def read(self) -> NDArray[np.uint8] | None:
        came, image = self._capture.read()
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False) if came else None

    def close(self) -> None:
        self._capture.release()


class Stream:
    """A live stream, such as rtsp://, rtmp://, srt:// or the playlist of HLS. Raises MediaError if it cannot be opened.

    url  may be the path of a video file, for tests: it is played as fast as it is read
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._container = av.open(url, "r", timeout=TIMEOUT, **ANY_ENCODING)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{url} cannot be opened: {error.strerror}; is the address right?") from error
        self._stream = largest_stream(self._container)
        if self._stream is None:
            self._container.close()
            raise MediaError(f"{url} holds no video; give a stream with a picture")
        self._pictures = self._decode()

    def read(self) -> NDArray[np.uint8] | None:
        return next(self._pictures, None)

    def close(self) -> None:
        self._pictures.close()
        self._container.close()

    def _decode(self) -> Generator[NDArray[np.uint8], None, None]:
        stream, display = self._stream, None
        assert stream is not None, "opening refuses streams without video"
        try:
            for picture in self._container.decode(stream):
                display = display or display_of(stream, picture)
                yield shown(picture, display)
        except av.FFmpegError as error:
            raise MediaError(f"{self.url} broke off: {error.strerror}") from error


class Player:
    """A video played at its own rate, by its own timestamps: a `Device`, for `Camera(path, opener=Player)`.

    path  whatever `open_video` takes and has an end

    Reading raises Finished after the last picture, and MediaError, which names the frame, if the video breaks off.
    """

    def __init__(self, path: str | PathLike[str] | int) -> None:
        self._source = open_video(path)
        self._frames: Iterator[Frame] = read_ahead(self._source.frames())
        self._began: float | None = None
        self._closing = Event()

    def read(self) -> NDArray[np.uint8] | None:
        frame = next(self._frames, None)
        if frame is None:
            if self._source.ended_early:
                raise MediaError(self._source.ended_early)
            raise Finished
        self._began = monotonic() - frame.time if self._began is None else self._began
        self._closing.wait(max(0.0, self._began + frame.time - monotonic()))
        return frame.image

    def close(self) -> None:
        self._closing.set()
        self._frames = iter(())  # lets go of the thread that decodes ahead
        self._source.close()
