"""One tracking job: begun or gone on with, followed, written, saved."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from rich.progress import Progress

from masklet.checkpoints import load_model
from masklet.cli.job import MASKS, Job
from masklet.cli.progress import counted
from masklet.cli.prompts import TypedPrompt
from masklet.cli.resuming import gone_on_with
from masklet.cli.targets import check_film, keep_inputs
from masklet.discovery import track_everything
from masklet.engines.base import Engine
from masklet.formats.atomic import make_folder, sweep
from masklet.formats.base import Facts
from masklet.formats.davis import read_index_png
from masklet.formats.overlay import OverlayWriter
from masklet.formats.registry import find_format
from masklet.formats.writer import Writer
from masklet.video import FrameResult, VideoTracker

DEFAULT_RATE = 24.0
"""Frames a second of the overlay where the video does not tell its own."""

SAVED_EVERY = 10.0
"""Seconds after which the session is saved on the way."""

SHARE_OF_SAVING = 0.05
"""At most this part of the time goes into saving the session on the way."""


@dataclass
class Done:
    """How far it came."""

    frames: int = 0
    stopped: bool = False


def begin(job: Job, engine: Engine | None, overwrite: bool) -> VideoTracker:
    """A tracker with its prompts: the one of a stopped run if it was asked for the same, or else a new one.

    Formats and folders are checked first, so that nothing is followed in vain. Without an engine, the job's model is
    loaded.
    """
    check_film(job.overlay)
    for target in (job.overlay, *(path for _, path in job.targets())):
        keep_inputs(target, job.video)
    loaded = load_model(job.model, device=job.device, speed=job.speed) if engine is None else engine
    fresh = VideoTracker(job.video, loaded, options=job.tracking)
    try:
        prompt_all(fresh, job.prompts)
        for folder in (job.out, job.overlay.parent):
            make_folder(folder)
            sweep(folder)
    except BaseException:
        fresh.close()
        raise
    if overwrite:
        for stale in (job.out / MASKS).glob("[0-9]*.png"):
            stale.unlink()
    if overwrite or not job.session.exists():
        return fresh
    try:
        return gone_on_with(job, fresh)
    finally:
        fresh.close()


def prompt_all(tracker: VideoTracker, prompts: Iterable[TypedPrompt]) -> None:
    """Give the typed prompts to a tracker, those of earlier frames first."""
    for said in sorted(prompts, key=lambda said: said.frame):
        if said.box is not None:
            tracker.add_box(frame=said.frame, object=said.object, box=said.box)
        if said.points:
            tracker.add_points(frame=said.frame, object=said.object, points=said.points, labels=said.labels or None)
        if said.mask is not None:
            tracker.add_mask(frame=said.frame, object=said.object, mask=read_index_png(said.mask) > 0)


def run(tracker: VideoTracker, job: Job, progress: Progress) -> Done:
    """Follow and write. Ctrl-C keeps what is finished."""
    done = Done()
    try:
        results = saved_on_the_way(tracker, job, follow(tracker, job))
        if job.direction == "forward":
            write_all(tracker, job, counted(results, progress, "tracking", length(tracker, job)), done)
        else:
            for _ in counted(results, progress, "tracking", length(tracker, job)):
                pass
            frames = len(tracker.known_frames())
            write_all(tracker, job, counted(known(tracker), progress, "writing", frames), done)
    except KeyboardInterrupt:
        done.stopped = True
    finally:
        if tracker.known_frames():  # also after a fault: what was found is not lost
            tracker.save(job.session, notes=job.settings)
    return done


def follow(tracker: VideoTracker, job: Job) -> Iterator[FrameResult]:
    """The frames of a job as they are followed; forward, those that are known already come first."""
    if job.everything is not None:
        return track_everything(tracker, reached=reached(tracker), options=job.everything)
    return forward(tracker) if job.direction == "forward" else tracker.propagate(direction=job.direction)


def length(tracker: VideoTracker, job: Job) -> int | None:
    """How many results `follow` gives; None if the video's length is not known."""
    count, prompted = tracker.source.frame_count, [said.frame for said in job.prompts] or [0]
    if job.direction == "backward":
        return max(prompted) + 1
    if count is None:
        return None
    ahead = max(0, count - min(prompted))
    return ahead if job.direction == "forward" else max(prompted) + 1 + ahead


def forward(tracker: VideoTracker) -> Iterator[FrameResult]:
    """What is known already, then what is followed."""
    first, last = min(tracker.known_frames()), reached(tracker)
    yield from (tracker.result(frame) for frame in range(first, last or first))
    yield from tracker.propagate(start=last)


def reached(tracker: VideoTracker) -> int | None:
    """The last frame of which something is known without a gap from the first one; None if nothing is."""
    frames = tracker.known_frames()
    known = set(frames)
    return next((frame for frame in frames if frame + 1 not in known), None)


def known(tracker: VideoTracker) -> Iterator[FrameResult]:
    """All known frames in their order."""
    return (tracker.result(frame) for frame in tracker.known_frames())


def saved_on_the_way(tracker: VideoTracker, job: Job, results: Iterator[FrameResult]) -> Iterator[FrameResult]:
    """The results; now and then the session is saved, so that a killed run can go on."""
    due = time.monotonic() + SAVED_EVERY
    for result in results:
        yield result
        if time.monotonic() > due:
            begun = time.monotonic()
            tracker.save(job.session, notes=job.settings)
            due = time.monotonic() + max(SAVED_EVERY, (time.monotonic() - begun) / SHARE_OF_SAVING)


def write_all(tracker: VideoTracker, job: Job, results: Iterator[FrameResult], done: Done) -> None:
    """Write every result as it comes. What is interrupted by Ctrl-C is closed in good order."""
    rate = tracker.source.rate or DEFAULT_RATE
    with ExitStack() as open_files:
        sinks: list[Writer] = [open_files.enter_context(sink) for sink in writers(tracker, job)]
        film = open_files.enter_context(OverlayWriter(job.overlay, tracker.size, rate, audio_from=job.sound))
        try:
            for result in results:
                for sink in sinks:
                    sink.write(result)
                film.write(np.asarray(result.overlay()))
                done.frames += 1
        except KeyboardInterrupt:
            if not done.frames:
                raise
            done.stopped = True


def writers(tracker: VideoTracker, job: Job) -> list[Writer]:
    """The palette PNGs that are always written, and the further formats."""
    facts = Facts(
        tracker.size,
        tracker.source.rate,
        tracker.source.frame_count,
        video=str(job.video),
        audio_from=job.sound,
        model=tracker.engine.config.name,
    )
    for _, path in job.targets():
        make_folder(path.parent)
    return [Writer(find_format(name).open, path, facts) for name, path in job.targets()]
