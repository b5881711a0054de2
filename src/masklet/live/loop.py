"""Frames in, results out, until the camera ends or somebody has enough."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from threading import Timer

from masklet.live.session import LiveSession
from masklet.video import FrameResult


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
