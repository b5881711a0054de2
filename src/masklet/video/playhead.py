"""The frame that is looked at: read once, encoded once, and the next one ahead if that is known to be wanted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import torch

from masklet.engines.base import Engine
from masklet.media.ahead import read_ahead
from masklet.media.frames import Frame, FrameSource, check_frame, no_such_frame
from masklet.nn import Levels
from masklet.video.frames import frame_tensor

AHEAD = 2
"""Frames that are read before they are looked at."""

ENCODE_AHEAD = 2
"""The most objects beside which the next frame is encoded: a few leave parts of a processor idle (docs/speed.md)."""


class Prepared(NamedTuple):
    """A frame that was read, or None past the video's end, and its features."""

    frame: Frame | None
    levels: Levels | None


class Playhead:
    """A place in a video. Going forward reads on; any other frame is looked up.

    Args:
        source: The frames.
        engine: Encodes them.
    """

    def __init__(self, source: FrameSource, engine: Engine) -> None:
        self.source = source
        self._engine = engine
        self._coming: Iterator[Frame] | None = None
        self._at = -1  # the frame that came last of these
        self._ahead = False  # whether they are read ahead already, or cannot be
        self._frame: Frame | None = None
        self._levels: Levels | None = None
        self._next: tuple[int, Future[Prepared]] | None = None
        self._worker: ThreadPoolExecutor | None = None

    def look(self, frame: int) -> Frame | None:
        """The frame, or None past the video's end. Raises `MediaError` if it cannot be read."""
        if self._frame is not None and self._frame.index == frame:
            return self._frame
        prepared = self._prepared(frame)
        self._frame, self._levels = prepared or Prepared(self._read(frame), None)
        return self._frame

    def seek(self, frame: int) -> Frame:
        """The frame. Raises `MediaError` if the video has none of that number."""
        check_frame(frame, None)
        found = self.look(frame)
        if found is None:
            raise no_such_frame(frame, self.source.frame_count, self.source.ended_early)
        return found

    def levels(self) -> Levels:
        """The features of the frame that was looked up last."""
        assert self._frame is not None, "no frame was looked up"
        if self._levels is None:
            self._levels = self._encode(self._frame)
        return self._levels

    def prepare(self, frame: int) -> None:
        """Read and encode a frame in a thread, as it will be looked at next; what then goes wrong is raised there.

        Only on a processor that may use several threads: one that may use one has nothing left for it, and on other
        devices work is queued anyway. A live source is not asked either: its newest frame would be old by then.
        """
        if self._next is not None or self._engine.device.type != "cpu" or not self.source.seekable:
            return
        threads = torch.get_num_threads()
        if threads > 1:
            self._worker = self._worker or ThreadPoolExecutor(1, "masklet-encode-ahead")
            self._next = frame, self._worker.submit(self._read_and_encode, frame, threads)

    def _prepared(self, frame: int) -> Prepared | None:
        """The frame if it is the prepared one. Whichever that is, it is waited for: two threads cannot read at once."""
        if self._next is None:
            return None
        index, coming = self._next
        if index != frame:
            coming.cancel()
        wait((coming,))  # interrupted here, it is still the next one
        self._next = None
        return coming.result() if index == frame else None

    def _read_and_encode(self, frame: int, threads: int) -> Prepared:
        """In the thread: with as many threads as elsewhere, so that features have the same last bits."""
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        found = self._read(frame)
        return Prepared(found, None if found is None else self._encode(found))

    @torch.inference_mode()
    def _encode(self, frame: Frame) -> Levels:
        return self._engine.encode_image(frame_tensor(frame.image, self._engine))

    def _read(self, frame: int) -> Frame | None:
        before = -1 if self._frame is None else self._frame.index
        if frame == before - 1:
            self._coming = None
            return self.source.read(frame)
        coming, self._coming = self._onward(frame, before), None
        found = next(coming, None)
        self._coming, self._at = coming, frame  # not if that failed or was interrupted: then they are of no use
        return found

    def _onward(self, frame: int, before: int) -> Iterator[Frame]:
        """The frames from this one on. From the second in a row they are read ahead in a thread: who looks at single
        frames waits for no others. A live source has nothing to read ahead."""
        if self._coming is None or not before == self._at == frame - 1:
            self._ahead = not self.source.seekable
            return self.source.frames(frame)
        coming, reads_ahead, self._ahead = self._coming, self._ahead, True
        return coming if reads_ahead else read_ahead(coming, AHEAD)

    def close(self) -> None:
        """Forget the frame, and close the video."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
        self._next = None
        self._coming = self._frame = self._levels = None
        self.source.close()
