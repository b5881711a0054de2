"""A file that is played like a camera: each picture comes when it is due, whether anybody is ready or not."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from threading import Event
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.ahead import read_ahead
from masklet.media.devices import Finished
from masklet.media.source import Frame, open_video


class Player:
    """A video at its own rate, by its own timestamps: a `Device`, for `Camera(path, opener=Player)`.

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
