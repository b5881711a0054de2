"""Frames of a video for the network: read once, encoded once, and the next one ahead if it is known to be wanted; and
the optical flow between them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache, lru_cache
from itertools import islice
from threading import get_ident
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet import machine
from masklet.engines.arrays import Array, given, in_precision
from masklet.engines.base import Engine, kind_of_device
from masklet.engines.rules import normalise, padded_square
from masklet.media.frames import Frame, FrameSource, check_frame, no_such_frame, read_ahead
from masklet.nn import Levels

READ_AHEAD = 2
"""Frames that are read before they are looked at."""

ENCODE_AHEAD = 2
"""The most objects beside which the next frame is encoded: a few leave parts of a processor idle (docs/speed.md)."""

Grey = NDArray[np.uint8]
"""(S, S), the brightness of a frame at the size of the network's square."""


def frame_tensor(image: NDArray[np.uint8], engine: Engine) -> Array:
    """uint8 (H, W, 3) RGB -> (1, 3, S, S) as the engine takes it, see `scaled_frame`."""
    scaled = given(engine, scaled_frame(image, engine.config.placed(image.shape[:2])))
    return in_precision(engine, padded_square(scaled, engine))


def scaled_frame(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """uint8 (H, W, 3) RGB -> float32 (1, 3, *size), normalised: by Pillow's bicubic filter, as published for video
    frames."""
    square = np.asarray(Image.fromarray(image).resize(size[::-1]))
    return np.asarray(cv2.LUT(square, normalised_levels()), np.float32).transpose(2, 0, 1)[None]


@cache
def normalised_levels() -> NDArray[np.float32]:
    """(1, 256, 3) float32: what each level of each channel becomes for the network, once for all pixels."""
    levels = np.broadcast_to(np.arange(256, dtype=np.float32) / 255, (1, 3, 1, 256))
    return np.ascontiguousarray(normalise(levels).transpose(0, 2, 3, 1)[0])


def grey_square(image: NDArray[np.uint8], side: int) -> Grey:
    """A frame, uint8 (H, W, 3), as optical flow wants it: uint8 (side, side)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def optical_flow(frame: Grey, before: Grey, cells: int) -> NDArray[np.float32]:
    """Where each cell of a frame was in the frame before, along which a mask is carried to where the object is now:
    float32 (cells, cells, 2), x and y from -1 to 1 across the picture, as `masklet.engines.arrays.sample` takes them.

    Dense inverse search (Kroeger et al., 2016; OpenCV's "medium" preset).
    """
    flow = _estimator(get_ident()).calc(frame, before, None)  # type: ignore[call-overload]
    steps = cv2.resize(flow, (cells, cells), interpolation=cv2.INTER_AREA) * (2 / len(frame))
    centres = (2 * np.arange(cells, dtype=np.float32) + 1) / cells - 1
    return np.asarray(steps + np.stack(np.meshgrid(centres, centres), axis=-1), np.float32)


@lru_cache(16)
def _estimator(_: int) -> cv2.DISOpticalFlow:
    """One for each thread: it keeps what it computes with."""
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def bytes_of(levels: Levels) -> int:
    """Bytes of the features of a frame."""
    return sum(level.nbytes for level in levels)


class Encoded(NamedTuple):
    """A frame that was read, or None past the video's end, its features, and its optical flow to another frame."""

    frame: Frame | None
    levels: Levels | None = None
    grey: Grey | None = None
    flow: tuple[int, NDArray[np.float32]] | None = None


def onward(source: FrameSource, frame: int) -> Iterator[Frame]:
    """The frames from one on. From the second they are read ahead in a thread: who looks at single frames waits for no
    others. A live source has nothing to read ahead."""
    frames = source.frames(frame)
    yield from islice(frames, 1)
    yield from read_ahead(frames, READ_AHEAD) if source.seekable else frames


class FrameReader:
    """A place in a video. Going forward reads on; any other frame is looked up. Of frames that were encoded the newest
    features are kept, within a budget of bytes; those of one frame aside in any case."""

    def __init__(self, source: FrameSource, engine: Engine, budget: int = 0) -> None:
        self.source = source
        self._engine = engine
        self._coming: Iterator[Frame] | None = None
        self._at = -1  # the frame that came last of these
        self._frame: Frame | None = None
        self._levels: Levels | None = None
        self._budget = budget
        self._kept: OrderedDict[int, Levels] = OrderedDict()
        self._greys: dict[int, Grey] = {}  # of the two frames that were wanted last
        self._flow: tuple[int, NDArray[np.float32]] | None = None  # of the frame, if that was encoded ahead
        self._next: tuple[int, Future[Encoded]] | None = None
        self._worker: ThreadPoolExecutor | None = None

    def find(self, frame: int) -> Frame | None:
        """The frame, or None past the video's end. Raises `MediaError` if it cannot be read."""
        if self._frame is not None and self._frame.index == frame:
            return self._frame
        self._frame, self._levels, grey, self._flow = self._taken_ahead(frame) or Encoded(self._read(frame))
        if grey is not None:
            self._keep_grey(frame, grey)
        return self._frame

    def seek(self, frame: int) -> Frame:
        """The frame. Raises `MediaError` if the video has none of that number."""
        check_frame(frame, None)
        found = self.find(frame)
        if found is None:
            raise no_such_frame(frame, self.source.frame_count, self.source.ended_early)
        return found

    def features(self) -> Levels:
        """The features of the frame that was found last."""
        assert self._frame is not None, "no frame was found"
        if self._levels is None:
            self._levels = self._encode(self._frame)
        if self._budget:
            self._keep(self._frame.index, self._levels)
        return self._levels

    def features_of(self, frame: int) -> Levels:
        """The features of any frame, without going there. Raises `MediaError` if it cannot be read."""
        if self._frame is not None and self._frame.index == frame:
            return self.features()
        if frame not in self._kept:
            self._wait()
            self._keep(frame, self._encode(self.source.read(frame)))
        return self._kept[frame]

    def _keep(self, frame: int, levels: Levels) -> None:
        """Keep features, and give up the oldest beyond the budget."""
        self._kept[frame] = levels
        self._kept.move_to_end(frame)
        most = max(1, self._budget // bytes_of(levels))
        while len(self._kept) > most:
            self._kept.popitem(last=False)

    def flow_to(self, frame: int) -> NDArray[np.float32]:
        """The optical flow from the frame that was found last to another one; see `optical_flow`. Raises `MediaError`
        if that cannot be read."""
        assert self._frame is not None, "no frame was found"
        if self._flow is not None and self._flow[0] == frame:
            return self._flow[1]
        there, here = self._grey(frame), self._grey(self._frame.index)
        return optical_flow(here, there, self._engine.config.mask_size)

    def _grey(self, frame: int) -> Grey:
        if frame not in self._greys:
            found = self._frame
            if found is None or found.index != frame:
                self._wait()
                found = self.source.read(frame)
            self._keep_grey(frame, grey_square(found.image, self._engine.config.image_size))
        return self._greys[frame]

    def _keep_grey(self, frame: int, grey: Grey) -> None:
        self._greys = {**dict(list(self._greys.items())[-1:]), frame: grey}

    def _wait(self) -> None:
        """Until no thread reads: two cannot read at once."""
        if self._next is not None:
            wait((self._next[1],))

    def encode_ahead(self, frame: int) -> None:
        """Read and encode a frame in a thread, as it is wanted next, and its optical flow to the frame that was found
        last if the model wants that; what then goes wrong is raised there.

        Only on a processor that may use several threads: one that may use one has nothing left for it, and on other
        devices work is queued anyway. A live source is not asked either: its newest frame would be old by then.
        """
        if self._next is not None or kind_of_device(self._engine) != "cpu" or not self.source.seekable:
            return
        threads = machine.threads()
        if threads > 1:
            self._worker = self._worker or ThreadPoolExecutor(1, "masklet-encode-ahead")
            here = self._frame if self._engine.config.motion == "flow" else None
            before = None if here is None else (here.index, self._grey(here.index))
            self._next = frame, self._worker.submit(self._read_and_encode, frame, threads, before)

    def _taken_ahead(self, frame: int) -> Encoded | None:
        """The frame if it is the one encoded ahead. That one is waited for anyway: two threads cannot read at once."""
        if self._next is None:
            return None
        index, coming = self._next
        if index != frame:
            coming.cancel()
        wait((coming,))  # interrupted here, it is still the next one
        self._next = None
        return coming.result() if index == frame else None

    def _read_and_encode(self, frame: int, threads: int, before: tuple[int, Grey] | None) -> Encoded:
        """In the thread: with as many threads as elsewhere, so that features have the same last bits."""
        machine.use_threads(threads)
        found = self._read(frame)
        if found is None or before is None:
            return Encoded(found, None if found is None else self._encode(found))
        grey, (there, grey_there) = grey_square(found.image, self._engine.config.image_size), before
        flow = optical_flow(grey, grey_there, self._engine.config.mask_size)
        return Encoded(found, self._encode(found), grey, (there, flow))

    def _encode(self, frame: Frame) -> Levels:
        if (kept := self._kept.get(frame.index)) is not None:
            return kept
        return self._engine.encode_image(frame_tensor(frame.image, self._engine))

    def _read(self, frame: int) -> Frame | None:
        before = -1 if self._frame is None else self._frame.index
        coming = self._coming if before == self._at == frame - 1 else None
        self._coming = None
        if frame == before - 1:
            return self.source.read(frame)
        coming = coming or onward(self.source, frame)
        found = next(coming, None)
        self._coming, self._at = coming, frame  # not if that failed or was interrupted: then they are of no use
        return found

    def close(self) -> None:
        """Forget the frame, and close the video."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
        self._next = None
        self._coming = self._frame = self._levels = None
        self._kept.clear()
        self._greys, self._flow = {}, None
        self.source.close()
