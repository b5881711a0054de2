"""The frame that is looked at: read once, encoded once."""

from __future__ import annotations

from collections.abc import Iterator

from masklet.engines.base import Engine
from masklet.media.ahead import read_ahead
from masklet.media.source import Frame, FrameSource, check_frame, no_such_frame
from masklet.nn import Levels
from masklet.video.frames import frame_tensor

AHEAD = 2
"""Frames that are read before they are looked at."""


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
        self._ahead = False  # whether they are read ahead already, or cannot be
        self._frame: Frame | None = None
        self._levels: Levels | None = None

    def look(self, frame: int) -> Frame | None:
        """The frame, or None past the video's end. Raises `MediaError` if it cannot be read."""
        before = self._frame
        if before is not None and before.index == frame:
            return before
        self._levels = None
        if before is not None and frame == before.index - 1:
            self._coming, self._frame = None, self.source.read(frame)
        else:
            self._coming = self._onward(frame, before)
            self._frame = next(self._coming, None)
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
            self._levels = self._engine.encode_image(frame_tensor(self._frame.image, self._engine))
        return self._levels

    def _onward(self, frame: int, before: Frame | None) -> Iterator[Frame]:
        """The frames from this one on. From the second in a row they are read ahead in a thread: who looks at single
        frames waits for no others. A live source has nothing to read ahead."""
        if self._coming is None or before is None or frame != before.index + 1:
            self._ahead = not self.source.seekable
            return self.source.frames(frame)
        coming, reads_ahead, self._ahead = self._coming, self._ahead, True
        return coming if reads_ahead else read_ahead(coming, AHEAD)

    def close(self) -> None:
        """Forget the frame, and close the video."""
        self._coming = self._frame = self._levels = None
        self.source.close()
