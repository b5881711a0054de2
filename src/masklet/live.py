"""A camera, a stream or a file played at its own rate, tracked as it comes: a stream tracker that one thread steps
while others prompt it and look at it, and a pipe in which other programs read the results."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from threading import Condition, Timer
from time import monotonic
from types import SimpleNamespace
from typing import IO, Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.engines.base import Engine
from masklet.errors import FormatError, SessionError, nearest
from masklet.formats.base import FrameLike, Sink, index_map
from masklet.formats.cutouts import cut_out_objects
from masklet.formats.film import NOMINAL_RATE
from masklet.media.camera import Camera, Patience, played
from masklet.media.source import Frame, open_video
from masklet.video import FrameResult, StreamTracker, TrackingOptions
from masklet.video.state import ObjectId, Tracks

RATE_FRAMES = 20
"""Frames over which the rate is measured."""

PIPE_TICK = Fraction(1, 1_000_000)
"""Seconds of a tick in the pipe."""

PIPE_FORMATS: dict[str, tuple[str, Callable[[FrameResult], NDArray[np.uint8]]]] = {
    "overlay": ("rgb24", lambda result: np.asarray(result.overlay())),
    "davis": ("gray", index_map),
    "rgba": ("rgba", cut_out_objects),
}
"""The pictures that a pipe can carry: FFmpeg's name of the pixels, and how they are made."""


def open_camera(source: str, wait: float) -> Camera:
    """A camera by its number, a stream by its URL, or a file in a camera's place; `wait` is for so many seconds if it
    goes away. Raises `MediaError`."""
    if source.isascii() and source.isdecimal():
        return Camera(int(source), patience=Patience(total=wait))
    if "://" in source:
        return Camera(source, patience=Patience(total=wait))
    return Camera(source, patience=Patience(total=0), opener=lambda path: played(open_video(path)))


@dataclass(frozen=True)
class ObjectStatus:
    """One object in the newest frame: visible, uncertain or absent; and why a person should look, or None. That stays
    until the object is visible again."""

    name: ObjectId
    state: str
    needs_prompt: str | None


@dataclass(frozen=True)
class Status:
    """How it goes.

    Attributes:
        frame: Number of the newest frame; None before the first.
        size: (height, width).
        rate: Frames a second, of the last few.
        latency: Seconds from capturing the newest frame to its masks.
        passed_over: Frames of the camera that came while others were followed.
        held: Whether the newest frame is held still.
        lost: Why the camera gives nothing at the moment, or None.
        objects: What is followed.
    """

    frame: int | None
    size: tuple[int, int]
    rate: float
    latency: float
    passed_over: int
    held: bool
    lost: str | None
    objects: tuple[ObjectStatus, ...]


class LiveSession:
    """The newest frame of a camera with its masks. All methods may be called from any thread.

    Args:
        camera: Gives the frames.
        model: Follows objects through them.
        options: How they are followed.

    Attributes:
        model: The model's name.
        over: Whether no more frames will come.
        watchers: Are called, in any thread, when something changed; they must be quick.
    """

    def __init__(self, camera: Camera, model: Engine, options: TrackingOptions | None = None) -> None:
        self.camera = camera
        self.watchers: list[Callable[[], None]] = []
        self.model = model.config.name
        self._captured = 0.0
        self._tracker = StreamTracker(model, options=options, clock=lambda: self._captured)
        self._changed = Condition()
        self._result: FrameResult | None = None
        self._held = self.over = False
        self._latency = 0.0
        self._steps: deque[float] = deque(maxlen=RATE_FRAMES)
        self._doubts: dict[ObjectId, str] = {}

    def step(self, frame: Frame) -> None:
        """Follow all objects into a frame of the camera."""
        with self._changing():
            self._captured = frame.time
            self._show(self._tracker.step(frame.image))
            self._latency = self.camera.age(frame)
            self._steps.append(monotonic())

    def prompt(self, name: ObjectId, ask: Callable[[StreamTracker], FrameResult]) -> None:
        """Say something of an object in the newest frame: `ask` calls `add_points`, `add_box` or `add_mask`.

        Raises whatever `ask` raises; nothing has changed then.
        """
        with self._changing():
            result = ask(self._tracker)
            self._doubts.pop(name, None)
            self._show(result)

    def remove(self, name: ObjectId) -> None:
        """Remove an object. Raises `SessionError` if there is none of that name."""
        with self._changing():
            self._tracker.remove(name)
            self._doubts.pop(name, None)
            if self._result is not None:
                left = {other: found for other, found in self._result.objects.items() if other != name}
                self._show(replace(self._result, objects=left))

    def describe(self, name: ObjectId, **said: Any) -> None:
        """Say what an object is, as `StreamTracker.describe`. Raises as that does."""
        with self._changing():
            self._tracker.describe(name, **said)

    def hold(self, held: bool) -> None:
        """Hold the newest frame still, so that it can be pointed at in peace, or go on with the camera's newest."""
        with self._changing():
            self._held = held

    def wait_while_held(self) -> FrameResult:
        """The newest frame as it is when it is not held, or no longer."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self.over)
            if self._result is None:
                raise SessionError("no frame came yet; step first")
            return self._result

    def newest(self) -> tuple[FrameResult | None, Tracks]:
        """The newest frame, None before the first, and the objects as they were known with it."""
        with self._changed:
            return self._result, self._tracker.tracks

    def end(self) -> None:
        """No more frames will come: waiting threads are notified."""
        with self._changing():
            self.over = True

    def status(self) -> Status:
        """How it goes now."""
        result, steps = self._result, list(self._steps)
        found = {} if result is None else result.objects
        seconds = steps[-1] - steps[0] if len(steps) > 1 else 0.0
        return Status(
            frame=None if result is None else result.frame,
            size=self.camera.size,
            rate=(len(steps) - 1) / seconds if seconds else 0.0,
            latency=self._latency,
            passed_over=self.camera.passed_over,
            held=self._held,
            lost=self.camera.lost,
            objects=tuple(ObjectStatus(name, one.state, self._doubts.get(name)) for name, one in found.items()),
        )

    def _show(self, result: FrameResult) -> None:
        """Take over a result; a doubt stays as long as the object is not visible again."""
        for name, found in result.objects.items():
            if found.needs_prompt is not None:
                self._doubts[name] = str(found.needs_prompt)
            elif found.state == "visible":
                self._doubts.pop(name, None)
        self._result = result

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()
            for watcher in self.watchers:
                watcher()


def follow(
    session: LiveSession,
    write: Callable[[FrameResult], None],
    begin: Callable[[LiveSession], None],
    *,
    frames: int | None = None,
    seconds: float | None = None,
) -> int:
    """Follow objects through what the session's camera gives.

    Args:
        session: Camera and tracker.
        write: Takes the result of each frame, once, in their order.
        begin: Prompts on the first frame, before it is written.
        frames: End after so many frames.
        seconds: End after so many seconds.

    Returns:
        How many frames were written. Ctrl-C, too, ends it in good order. What `write` and `begin` raise is raised.
    """

    def enough() -> None:
        session.end()
        session.camera.close()

    written = 0
    clock = Timer(seconds or 0.0, enough)
    clock.daemon = True
    if seconds is not None:
        clock.start()
    with closing(session.camera):
        try:
            for frame in session.camera.frames(stop=frames):
                session.step(frame)
                if frame.index == 0:
                    begin(session)
                write(session.wait_while_held())
                written += 1
        except KeyboardInterrupt:
            pass
        finally:
            clock.cancel()
            session.end()
    return written


def piped_format(name: str | None) -> str:
    """The format that a pipe carries. Raises FormatError for one that it cannot."""
    if name is None:
        return "overlay"
    if name not in PIPE_FORMATS:
        raise FormatError(
            f"a pipe cannot carry {name!r}{nearest(name, PIPE_FORMATS)}; give one of {', '.join(PIPE_FORMATS)}"
        )
    return name


@contextmanager
def into_pipe(pipe: IO[bytes], name: str, size: tuple[int, int]) -> Iterator[Sink]:
    """Raw pictures in FFmpeg's own container, NUT, with the times at which they were captured.

    pipe  is written to as frames come, and left open
    name  one of PIPE_FORMATS
    size  (height, width)

    Raises FormatError when nobody reads any more.
    """
    pixels, draw = PIPE_FORMATS[name]
    try:
        into: Any = SimpleNamespace(write=pipe.write)  # a pipe, in which nobody can seek
        with av.open(into, "w", format="nut") as container:
            stream: VideoStream = container.add_stream("rawvideo", rate=NOMINAL_RATE)
            stream.height, stream.width = size
            stream.pix_fmt = pixels
            stream.codec_context.time_base = PIPE_TICK

            def write(result: FrameLike) -> None:
                assert isinstance(result, FrameResult), "a live session gives results of a tracker"
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(draw(result)), format=pixels)
                picture.pts, picture.time_base = round(result.time / PIPE_TICK), PIPE_TICK
                container.mux(stream.encode(picture))
                pipe.flush()

            yield write
    except BrokenPipeError:
        raise FormatError("the program that read the pipe has ended; start both again") from None
