"""A stream tracker that keeps to a deadline: frames whose result would come too late are dropped, and it says so."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from masklet.engines.base import Engine
from masklet.errors import ConfigError
from masklet.video.options import TrackingOptions
from masklet.video.result import FrameResult
from masklet.video.stream import StreamTracker

if TYPE_CHECKING:
    import torch

STEPS = 30
"""Steps from which the time of the next one is foreseen."""

SLOW = 0.9
"""Share of them that were no slower than what is foreseen."""

KEPT = 10_000
"""The newest latencies, of which percentiles are told."""


@dataclass(frozen=True)
class Punctuality:
    """How the deadline is kept.

    Attributes:
        followed: Frames that have a result.
        dropped: Frames that have none, as it would have come too late.
        late: Of those followed, the ones whose result came after the deadline all the same.
        median: Seconds from the capture of a frame to its result, over the newest ones; 0 before the first.
        p95: So many had 95 of 100 at most.
        p99: So many had 99 of 100 at most.
    """

    followed: int
    dropped: int
    late: int
    median: float
    p95: float
    p99: float


class DeadlineTracker:
    """Follow objects through frames that come at their own pace, each result within a deadline.

        tracker = masklet.DeadlineTracker(deadline=0.1)
        tracker.offer(first_image)
        tracker.stream.add_box(object="cup", box=(40, 60, 220, 240))
        for image, captured in camera:
            if (result := tracker.offer(image, captured)) is not None:
                act(result)
        tracker.punctuality()  # followed, dropped, late, percentiles

    A frame is dropped if its result would come after the deadline, by the time that recent steps took, and a newer one
    must have come, by the pace of captures. So on a machine that is too slow for the deadline the newest frame is
    followed, and counts as late. Frames that are followed have the masks that `StreamTracker` gives if it sees these
    frames alone.

    Args:
        model: Name, path, `Model`, or any engine.
        deadline: Seconds from the capture of a frame to its result.
        device: Where to run; the best there is if not given. Only for a name or a path.
        options: How to track.
        clock: The time in seconds; that of captures too.

    Raises:
        ConfigError: The deadline is no number over 0.
        CheckpointError: The model cannot be loaded.
    """

    def __init__(
        self,
        model: str | PathLike[str] | Engine = "nano",
        *,
        deadline: float,
        device: str | torch.device | None = None,
        options: TrackingOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < deadline < float("inf"):
            raise ConfigError(f"the deadline is {deadline!r}; give seconds, more than 0")
        self.deadline = deadline
        self.stream = StreamTracker(model, device=device, options=options, clock=lambda: self._captured)
        self._clock = clock
        self._captured = 0.0
        self._steps: deque[float] = deque(maxlen=STEPS)
        self._captures: deque[float] = deque(maxlen=STEPS)
        self._latencies: deque[float] = deque(maxlen=KEPT)
        self._followed = self._dropped = self._late = 0

    def __repr__(self) -> str:
        return f"DeadlineTracker({self.stream.engine.config.name}, {self.deadline:g} s)"

    def offer(self, image: NDArray[np.uint8], captured: float | None = None) -> FrameResult | None:
        """Follow all objects into a frame, or drop it.

        Args:
            image: uint8 (H, W, 3), RGB; all frames are of one size.
            captured: When it was, by the clock; now if not given.

        Returns:
            The result, whose `time` is that of the capture; None for a frame that was dropped.

        Raises:
            MediaError: The image is no such array, or of another size than the first.
        """
        begun = self._clock()
        captured = begun if captured is None else captured
        self._captures.append(captured)
        if self._is_stale(begun - captured):
            self._dropped += 1
            return None
        self._captured = captured
        result = self.stream.step(image)
        ended = self._clock()
        self._steps.append(ended - begun)
        self._latencies.append(ended - captured)
        self._followed += 1
        self._late += ended - captured > self.deadline
        return result

    def punctuality(self) -> Punctuality:
        """How the deadline is kept so far."""
        seconds = np.percentile(self._latencies, (50, 95, 99)) if self._latencies else np.zeros(3)
        return Punctuality(self._followed, self._dropped, self._late, *map(float, seconds))

    def _is_stale(self, waited: float) -> bool:
        """Whether a frame that waited so long would be late, and is not the newest."""
        if not self._steps or len(self._captures) < 2:
            return False
        late = waited + float(np.quantile(self._steps, SLOW, method="higher")) > self.deadline
        return late and waited > float(np.median(np.diff(self._captures)))
