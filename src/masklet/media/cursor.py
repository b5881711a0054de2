"""Single pictures out of a stream of them, with as little decoding as can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from masklet.media.container import BrokenOff, DecodedFrame

NEAR = 32
"""So many frames are decoded and dropped rather than jumped over: a jump costs about as much."""

KEPT_BYTES = 64 * 2**20
"""What decoded pictures may hold in memory, so that going backward does not decode everything again at each step."""


class Cursor:
    """A place in a video, moved by asking for pictures.

    run_from  gives the pictures from a frame to the end, in order
    key_frame the frame with which decoding must begin to arrive at a frame; not asked for frames nearby
    """

    def __init__(self, run_from: Callable[[int], Iterator[DecodedFrame]], key_frame: Callable[[int], int]) -> None:
        self._run_from = run_from
        self._key_frame = key_frame
        self._run: Iterator[DecodedFrame] | None = None
        self._next = 0  # the frame that the run gives next
        self._behind = 2  # pictures that are kept
        self._kept: dict[int, DecodedFrame] = {}

    def picture(self, frame: int) -> DecodedFrame | None:
        """A frame's picture, None past the end. Raises BrokenOff if the video breaks off before it."""
        if frame in self._kept:
            return self._kept[frame]
        if self._run is None or not self._arrives_at(frame):
            start = max(0, frame - self._behind + 1) if frame < self._next else frame
            self._kept.clear()
            self._run = self._run_from(start)
        try:
            for picture in self._run:
                self._keep(picture)
                if picture.frame == frame:
                    return picture
        except BrokenOff:
            self._run = None
            raise
        self._run = None
        return None

    def _arrives_at(self, frame: int) -> bool:
        """Whether going on is no longer than a jump."""
        return self._next <= frame and (frame < self._next + NEAR or self._key_frame(frame) <= self._next)

    def _keep(self, picture: DecodedFrame) -> None:
        if not self._kept:
            size = sum(plane.buffer_size for plane in picture.image.planes)
            self._behind = min(NEAR, max(2, KEPT_BYTES // size))
        self._kept[picture.frame] = picture
        self._next = picture.frame + 1
        while len(self._kept) > self._behind:
            del self._kept[next(iter(self._kept))]
