"""Frames as JPEG, by their numbers: read by the same decoder as the tracker's, so that frame n is frame n."""

from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.media.source import FrameSource, open_video

PAGE_JPEG_QUALITY = 90
"""Of the JPEGs, 0..100."""

JPEG_CACHE_BYTES = 96 << 20
"""Bytes of JPEGs that are kept of a video: a window around where people look."""

DECODED_BYTES = 48 << 20
"""Bytes of decoded frames of the tracker that are kept: following, it is a little ahead of who watches."""

THUMBNAIL_SIDE = 320
"""The longer side of a thumbnail, in pixels."""


class Pictures:
    """The frames of one video, for any number of threads; one at a time is decoded."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._reading = Lock()
        self._lock = Lock()  # of what is kept
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._bytes = 0
        self._fresh: dict[int, NDArray[np.uint8]] = {}  # replaced, never changed: a thread may be looking

    def offer(self, frame: int, image: NDArray[np.uint8]) -> None:
        """Take a frame that was decoded elsewhere, uint8 (H, W, 3) RGB, so that it need not be decoded again. Only the
        newest are kept."""
        most = max(1, DECODED_BYTES // image.nbytes)
        others = [(number, other) for number, other in self._fresh.items() if number != frame]
        self._fresh = dict([*others, (frame, image)][-most:])

    def jpeg(self, frame: int, width: int = 0) -> bytes:
        """A frame as JPEG, at most `width` pixels wide where that is not 0. Raises MediaError if there is no such frame
        or it cannot be read."""
        key = frame, width
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        image = self._fresh.get(frame)
        if image is None:
            with self._reading:
                image = self._source.read(frame).image
        data = encode(image, width)
        with self._lock:
            self._bytes += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._bytes > JPEG_CACHE_BYTES and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return data

    def close(self) -> None:
        """Give back the video."""
        with self._reading:
            self._source.close()


def encode(image: NDArray[np.uint8], width: int = 0) -> bytes:
    """A picture, uint8 (H, W, 3) RGB, as JPEG; at most `width` pixels wide where that is not 0."""
    height, full = image.shape[:2]
    if 0 < width < full:
        size = (width, max(1, round(height * width / full)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, PAGE_JPEG_QUALITY]
    )
    assert done, "OpenCV encodes every uint8 picture as JPEG"
    return data.tobytes()


def thumbnail(path: Path) -> tuple[bytes, dict[str, Any]]:
    """A small JPEG of a video's first frame; and its width, height, frames and rate, as far as they are known without
    reading it through. Raises MediaError if it cannot be read."""
    with closing(open_video(path)) as source:
        height, width = source.size
        reduced = THUMBNAIL_SIDE if width >= height else max(1, round(THUMBNAIL_SIDE * width / height))
        rate = None if source.rate is None else float(source.rate)
        facts = {"width": width, "height": height, "frames": source.frame_count, "rate": rate}
        return encode(source.read(0).image, reduced), facts
