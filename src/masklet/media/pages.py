"""A picture file of several pages, read as a video: GIF, TIFF, and animated WebP, PNG and AVIF."""

from collections.abc import Iterator
from functools import cached_property
from os import PathLike
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import MediaError
from masklet.media.frames import Frame, FrameSource, check_frame, check_range, check_size
from masklet.media.image_file import open_image, reading, upright_rgb

BRIEF, SHOWN = 0.01, 0.1
"""Browsers show a page that asks for 10 ms or less for 100 ms (the HTML standard is silent, WebKit and Gecko agree)."""


class PagedImage(FrameSource):
    """The pages of a picture file as frames. A file with one page is a video of one frame.

    rate  frames a second, in place of what the file says; a file that says nothing counts one second a frame

    GIF and its like hold the duration of each page, which gives the frames' times; `rate` is that of the first
    page. Raises MediaError if the file is no picture, and, on the way, if a page is damaged or of another size
    than the first.
    """

    frame_count: int
    frame_count_exact = True

    def __init__(self, path: str | PathLike[str], *, rate: float | None = None) -> None:
        self.path = Path(path)
        self._given_rate = rate
        self._lock = Lock()  # Pillow's file stands at one page at a time
        self._closed = False
        self._file = open_image(self.path)
        try:
            with reading(self.path.name):
                pages = int(getattr(self._file, "n_frames", 1))  # formats of one page lack the attribute
            # A first page that is a still, for programs that play no PNG, is no part of the film.
            self._still = int(getattr(self._file, "default_image", False) and pages > 1)
            self.frame_count = pages - self._still
            height, width, _ = self._page(self._file, 0).shape
        except BaseException:
            self._file.close()
            raise
        self.size = (height, width)
        self.rate = rate or (1 / _duration(self._file) if "duration" in self._file.info else None)

    def __len__(self) -> int:
        return self.frame_count

    def read(self, frame: int) -> Frame:
        """One page. Those of a GIF build upon each other, so that reading backward starts at the first again."""
        check_frame(frame, self.frame_count)
        time = float(self.timestamps[frame])
        with self._lock:
            self._check_open()
            if frame + self._still < self._file.tell():  # anew: Pillow turns no PNG back to its first page
                self._file.close()
                self._file = open_image(self.path)
            return Frame(frame, time, self._sized(self._file, frame))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        check_range(start, stop)
        self._check_open()
        return self._from(start, stop)

    @cached_property
    def timestamps(self) -> NDArray[np.float64]:
        """Seconds since the first frame, (T,). For a GIF, all pages are gone through at the first call."""
        if self._given_rate is not None or self.rate is None:
            return np.arange(len(self)) / (self.rate or 1.0)
        with open_image(self.path) as file:
            pages = range(self._still, self._still + len(self) - 1)
            shown = [_seconds_shown(file, page, f"page {page} of {self.path.name}") for page in pages]
        return np.concatenate([[0.0], np.cumsum(shown)])

    def close(self) -> None:
        """Iterations that are under way end at their next frame; later ones raise MediaError."""
        self._closed = True
        with self._lock:
            self._file.close()

    def _from(self, start: int, stop: int | None) -> Iterator[Frame]:
        times = self.timestamps
        with open_image(self.path) as file:
            for page in range(len(self))[start:stop]:
                if self._closed:
                    return
                yield Frame(page, float(times[page]), self._sized(file, page))

    def _sized(self, file: Image.Image, page: int) -> NDArray[np.uint8]:
        return check_size(self._page(file, page), self.size, f"page {page} of {self.path.name}", "page 0")

    def _page(self, file: Image.Image, page: int) -> NDArray[np.uint8]:
        name = f"page {page} of {self.path.name}" if page else self.path.name
        with reading(name):
            file.seek(page + self._still)
        return upright_rgb(file, name)

    def _check_open(self) -> None:
        if self._closed:
            raise MediaError(f"{self.path.name} was closed; open it again to read its frames")


def _seconds_shown(file: Image.Image, page: int, name: str) -> float:
    with reading(name):
        file.seek(page)
    if file.format in ("WEBP", "AVIF"):  # tells a page's duration only once it is decoded
        upright_rgb(file, name)
    return _duration(file)


def _duration(file: Image.Image) -> float:
    seconds = float(file.info.get("duration", 0)) / 1000
    return seconds if seconds > BRIEF else SHOWN
