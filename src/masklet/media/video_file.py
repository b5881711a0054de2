"""A video file, read through PyAV as it is decoded: memory does not grow with the video's length."""

from collections.abc import Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.footage import Footage
from masklet.media.container import BrokenOff, DecodedFrame
from masklet.media.decoder import NEAR, Decoder
from masklet.media.display import shown, shown_deep
from masklet.media.frames import Frame, FrameSource, check_frame, check_range, no_such_frame


class VideoFile(FrameSource):
    """Frames of a video file's largest video stream: upright, in square pixels, of whole pictures, of 8 bits.

    Opening decodes the first frame alone, to know that the file can be read, and how it is to be shown.
    Frames whose size changes on the way are scaled to the first one's. Reading from the first frame on needs
    nothing else; the first jump reads the packets' times through, once, for an index of the frames.

    Raises MediaError, when opened, if the file is missing, is no video, or has no frame that can be decoded.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._decoder = Decoder(self.path)
        self._closed = Event()
        self.size = self._decoder.display.size
        self.rate = self._decoder.rate
        self.frame_count = self._decoder.stated  # not exact: it includes frames that never come
        if self.frame_count is None and self._decoder.promised and self.rate:
            self.frame_count = max(1, round(self._decoder.promised * self.rate))
        display = self._decoder.display
        self.footage = Footage(
            display.colours,
            display.bits,
            self._decoder.timecode,
            self._decoder.clock,
            self._deep if display.bits > 8 else None,
        )

    def __len__(self) -> int:
        """The number of frames. Raises TypeError if it takes decoding all of them."""
        if not self.frame_count_exact:
            self._count()
        if self.frame_count is None or not self.frame_count_exact:
            raise TypeError(f"the number of frames of {self.path.name} is not known before they are all read")
        return self.frame_count

    def __bool__(self) -> bool:
        return True  # for there is one frame at least, and to count them takes a while

    @property
    def lost(self) -> list[int]:
        """The frames, of those read so far, that are damaged beyond decoding; they show the picture before them."""
        return sorted(self._decoder.lost)

    @property
    def timestamps(self) -> NDArray[np.float64] | None:
        """Seconds since the first frame, (T,), of a variable rate too; None if the file has no times."""
        self._check_open()
        index = self._decoder.index
        return None if index is None else (index.pts - index.pts[0]) * self._decoder.tick

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        check_range(start, stop)
        self._check_open()
        return self._frames(start, stop)

    def read(self, frame: int) -> Frame:
        """One frame. One near to the last that was read, before it or after it, costs least."""
        check_frame(frame, None)
        self._check_open()
        if frame >= NEAR and self._count():
            check_frame(frame, self.frame_count)
        try:
            picture = self._decoder.picture(frame)
        except BrokenOff as broken:
            self._count()
            raise no_such_frame(frame, self.frame_count, f"{self.path.name} breaks off: {broken}") from None
        if picture is None:
            self._count()
            raise no_such_frame(frame, self.frame_count)
        return self._frame(picture)

    def close(self) -> None:
        """Iterations that are under way end at their next frame; later ones raise MediaError."""
        self._closed.set()
        self._decoder.close()

    def _frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        before, self.ended_early = self.ended_early, None
        if stop is not None and stop <= start:
            return
        last, end, fault = start - 1, 0.0, ""
        try:
            for picture in self._decoder.pictures(start):
                if self._closed.is_set():
                    return
                last, end = picture.frame, picture.end
                yield self._frame(picture)
                if last + 1 == stop:
                    return
        except BrokenOff as broken:
            fault = str(broken)
        if end:  # where nothing came, the end lies before the start
            self.frame_count, self.frame_count_exact = last + 1, True
            self.ended_early = self._ended_early(last, end, fault)
        elif fault:
            self.ended_early = before or f"{self.path.name} breaks off before frame {start}: {fault}"

    def _deep(self, start: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """Pictures in the file's own depth and colours, for films; also once this is closed."""
        with suppress(BrokenOff):
            for picture in self._decoder.pictures(start):
                yield picture.frame, shown_deep(picture.image, self._decoder.display)

    def _frame(self, picture: DecodedFrame) -> Frame:
        return Frame(picture.frame, picture.time, shown(picture.image, self._decoder.display))

    def _count(self) -> bool:
        """Take the number of frames from the index; False if there is none."""
        index = self._decoder.index
        if index is not None:
            self.frame_count, self.frame_count_exact = len(index.pts), True
        return index is not None

    def _ended_early(self, last: int, end: float, fault: str) -> str | None:
        """A sentence if decoding failed on the way, or the frames end two or more before the promised end."""
        promised, tolerance = self._decoder.promised, 2 / self.rate if self.rate else 0.1
        if not fault and promised is not None and end and end < promised - tolerance:
            fault = "the file has no more"
        if not fault:
            return None
        of = f" of {promised:.2f} s" if promised else ""
        return f"{self.path.name} breaks off after frame {last} ({end:.2f} s{of}): {fault}"

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise MediaError(f"{self.path.name} was closed; open it again to read its frames")
