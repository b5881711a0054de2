"""The stream tracker: frames come one by one, no end is known, and memory is bounded. Another keeps to a deadline:
frames whose result would come too late are dropped, and it says so."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.checkpoints import load_engine
from masklet.engines.base import Engine
from masklet.errors import ConfigError, MediaError, SessionError, is_within, need
from masklet.formats.description import Description
from masklet.media.source import Frame
from masklet.nn import Levels
from masklet.prompts import Prompt, make_prompt, merge_prompts
from masklet.video.edits import approved, asked, described, followed, removed, track_of
from masklet.video.events import checked_object
from masklet.video.options import TrackingOptions
from masklet.video.reader import frame_tensor, grey_square, optical_flow
from masklet.video.result import FrameResult, frame_result
from masklet.video.review import signature, with_doubts
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack, Tracks, to_follow
from masklet.video.step import FrameContext, step
from masklet.video.store import RecentFrames

if TYPE_CHECKING:
    import torch

WARM_UP_STEPS = 30
"""Steps from which the time of the next one is foreseen."""

LATENCY_QUANTILE = 0.9
"""Share of them that were no slower than what is foreseen."""

LATENCIES_KEPT = 10_000
"""The newest latencies, of which percentiles are told."""


class StreamTracker:
    """Follow objects through frames as they come.

        stream = masklet.StreamTracker()
        stream.step(first_image)
        stream.add_box(object="cup", box=(40, 60, 220, 240))
        for image in camera:
            mask = stream.step(image).objects["cup"].mask

    Gives exactly what `VideoTracker` gives forward, and keeps only what later frames can recall: prompted frames and a
    window of recent ones.

    Args:
        model: Name, path, `Model`, or any engine.
        device: Where to run; the best there is if not given. Only for a name or a path.
        options: How to track.
        clock: Gives the time of a frame in seconds; by default the seconds since the first one.

    Raises:
        CheckpointError: The model cannot be loaded.
        ConfigError: There is no policy of the name that the options give.
    """

    def __init__(
        self,
        model: str | PathLike[str] | Engine = "nano",
        *,
        device: str | torch.device | None = None,
        options: TrackingOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine: Engine = load_engine(model, device=device)
        self.options = TrackingOptions() if options is None else options
        need(self.options, TrackingOptions, "options", ConfigError)
        self.policy = self.options.policy_for(self.engine.config)
        self.tracks: Tracks = {}
        self._new = ObjectTrack(RecentFrames(self.policy.window))
        self._clock = clock
        self._began: float | None = None
        self._frame: Frame | None = None
        self._levels: Levels | None = None
        self._flow: NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        return f"StreamTracker({self.engine.config.name})"

    def step(self, image: NDArray[np.uint8]) -> FrameResult:
        """Follow all objects into the next frame.

        Args:
            image: uint8 (H, W, 3), RGB; all frames are of one size.

        Raises:
            MediaError: The image is no such array, or of another size than the first.
        """
        before = self._frame, self._levels, self._flow
        self._frame, self._levels, self._flow = self._next(image), None, self._flow_to(self._frame, image)
        try:
            moving = to_follow(self.tracks, self._frame.index)
            if moving:
                self.tracks = followed(self.tracks, with_doubts(self.tracks, self._step(moving)))
        except BaseException:
            self._frame, self._levels, self._flow = before  # the same image may be given again
            raise
        return self._result()

    def add_points(self, *, object: ObjectId, points: ArrayLike, labels: ArrayLike | None = None) -> FrameResult:
        """Click on an object in the newest frame: (x, y) in pixels; labels 1 include, 0 exclude.

        Raises:
            SessionError: No frame came yet.
            PromptError: The points make no sense for the picture.
        """
        return self._prompt(object, make_prompt(self._size(), points=points, labels=labels))

    def add_box(self, *, object: ObjectId, box: ArrayLike) -> FrameResult:
        """Draw a box (x0, y0, x1, y1) around an object in the newest frame. Raises as `add_points`."""
        return self._prompt(object, make_prompt(self._size(), box=box))

    def add_mask(self, *, object: ObjectId, mask: ArrayLike) -> FrameResult:
        """Give an object's mask in the newest frame, bool (H, W). Raises as `add_points`."""
        return self._prompt(object, make_prompt(self._size(), mask=mask))

    def add_prompt(self, *, object: ObjectId, prompt: Prompt, replace: bool = False) -> FrameResult:
        """As `add_points`, for a prompt by `masklet.prompts.make_prompt`; with `replace` what was said before of the
        object in the frame goes."""
        return self._prompt(object, prompt, alone=replace)

    def describe(
        self,
        object: ObjectId,
        *,
        title: str | None = None,
        category: str | None = None,
        colour: str | None = None,
        attributes: Mapping[str, str | float | bool] | None = None,
    ) -> None:
        """Say what an object is, as `VideoTracker.describe` does."""
        name = checked_object(object)
        said = track_of(self.tracks, name, self._new).description.updated(title, category, colour, attributes)
        self.tracks = described(self.tracks, name, said, self._new)

    @property
    def objects(self) -> dict[ObjectId, Description]:
        """The objects in the order in which they were added, and what is said of them."""
        return {name: track.description for name, track in self.tracks.items()}

    def remove(self, object: ObjectId) -> None:
        """Remove an object. Raises `SessionError` if there is none of that name."""
        self.tracks = removed(self.tracks, object)

    def _next(self, image: NDArray[np.uint8]) -> Frame:
        came: object = image
        if not isinstance(came, np.ndarray):
            raise MediaError(f"the frame is a {type(came).__name__}; give a uint8 array (height, width, 3), RGB")
        if came.dtype != np.uint8 or came.ndim != 3 or came.shape[2] != 3:
            raise MediaError(f"the frame is {came.dtype} {came.shape}; give a uint8 array (height, width, 3), RGB")
        if self._frame is not None and image.shape != self._frame.image.shape:
            raise MediaError(
                f"the frame is {image.shape[1]} x {image.shape[0]} and the stream began with "
                f"{self._frame.image.shape[1]} x {self._frame.image.shape[0]}; begin a new stream for another size"
            )
        now = self._clock()
        self._began = now if self._began is None else self._began
        return Frame(0 if self._frame is None else self._frame.index + 1, now - self._began, image)

    def _prompt(self, name: ObjectId, new: Prompt, alone: bool = False) -> FrameResult:
        frame, name = self._newest().index, checked_object(name)
        track = track_of(self.tracks, name, self._new)
        track = asked(track, frame, new if alone else merge_prompts(track.prompts.get(frame), new))
        answer = self._step({name: track})[name]
        self.tracks = {**self.tracks, name: approved(track, answer)}
        return self._result()

    def _step(self, tracks: Tracks) -> dict[ObjectId, KnownFrame]:
        picture = self._newest()
        if self._levels is None:
            self._levels = self.engine.encode_image(frame_tensor(picture.image, self.engine))
        how = self.engine, self._levels, self.policy, self.options
        context = FrameContext(*how, picture.index, self._size(), colours=signature(picture.image), flow=self._flow)
        return step(tracks, context)

    def _flow_to(self, before: Frame | None, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The optical flow of a new image, for networks that want it."""
        config = self.engine.config
        if before is None or config.motion != "flow":
            return None
        here, there = (grey_square(pixels, config.image_size) for pixels in (image, before.image))
        return optical_flow(here, there, config.mask_size)

    def _newest(self) -> Frame:
        if self._frame is None:
            raise SessionError("no frame came yet; call step with the first image before prompting")
        return self._frame

    def _size(self) -> tuple[int, int]:
        height, width = self._newest().image.shape[:2]
        return height, width

    def _result(self) -> FrameResult:
        return frame_result(self._newest(), self.tracks, self.options.non_overlapping)


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
        if not is_within(deadline, 0, sys.float_info.max) or not deadline:
            raise ConfigError(f"the deadline is {deadline!r}; give seconds, more than 0")
        self.deadline = deadline
        self.stream = StreamTracker(model, device=device, options=options, clock=lambda: self._captured)
        self._clock = clock
        self._captured = 0.0
        self._steps: deque[float] = deque(maxlen=WARM_UP_STEPS)
        self._captures: deque[float] = deque(maxlen=WARM_UP_STEPS)
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
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
            MediaError: The image is no such array, or of another size than the first, or the time is no number.
        """
        begun = self._clock()
        captured = begun if captured is None else captured
        if not is_within(captured, -sys.float_info.max, sys.float_info.max):  # NaN would stay in every percentile
            raise MediaError(f"captured is {captured!r}; give a time of the clock in seconds, or None for now")
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
        late = waited + float(np.quantile(self._steps, LATENCY_QUANTILE, method="higher")) > self.deadline
        return late and waited > float(np.median(np.diff(self._captures)))
