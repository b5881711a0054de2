"""One tracking job: begun or gone on with, followed, written, saved."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.progress import Progress

from masklet.checkpoints import load_model
from masklet.cli.progress import counted
from masklet.cli.prompts import TypedPrompt
from masklet.cli.targets import check_film, keep_inputs
from masklet.engines.base import Engine
from masklet.errors import FormatError
from masklet.formats.atomic import make_folder, sweep
from masklet.formats.base import Facts
from masklet.formats.davis import read_index_png
from masklet.formats.overlay import OverlayWriter
from masklet.formats.project_reader import read_project
from masklet.formats.registry import find_format
from masklet.formats.writer import Writer
from masklet.video import FrameResult, TrackingOptions, VideoTracker
from masklet.video.events import Prompted

DEFAULT_RATE = 24.0
"""Frames a second of the overlay where the video does not tell its own."""

MASKS = "masks"
"""Folder of the palette PNGs, in the folder of the job."""

SAVED_EVERY = 10.0
"""Seconds after which the session is saved on the way."""

SHARE_OF_SAVING = 0.05
"""At most this part of the time goes into saving the session on the way."""


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        video: The video.
        out: Folder for everything that is written.
        overlay: File of the overlay video.
        prompts: What is said of the objects.
        direction: Where to follow.
        formats: Further formats, by name.
        model: Name or file of the model.
        speed: How much is computed.
        device: Where to run.
        policy: Name of the memory policy.
    """

    video: Path
    out: Path
    overlay: Path
    prompts: tuple[TypedPrompt, ...]
    direction: Literal["forward", "backward", "both"]
    formats: tuple[str, ...]
    model: str
    speed: str
    device: str | None
    policy: str = "published"

    @property
    def sound(self) -> Path | None:
        """The file whose sound films keep."""
        return self.video if self.video.is_file() else None

    def targets(self) -> list[tuple[str, Path]]:
        """Formats and where they are written, the palette PNGs first. Raises `FormatError` for an unknown format."""
        found = [("davis", self.out / MASKS)]
        for name in self.formats:
            suffixes = find_format(name).suffixes
            found.append((name, self.out / "formats" / (f"{name}{suffixes[0]}" if suffixes else name)))
        return found

    @property
    def session(self) -> Path:
        """The project file, from which a stopped run goes on."""
        return self.out / "session.masklet"


@dataclass
class Done:
    """How far it came."""

    frames: int = 0
    stopped: bool = False


def begin(job: Job, engine: Engine | None, overwrite: bool) -> VideoTracker:
    """A tracker with its prompts: the one of a stopped run if its prompts were the same, or else a new one.

    Formats and folders are checked first, so that nothing is followed in vain. Without an engine, the job's model is
    loaded.
    """
    check_film(job.overlay)
    for target in (job.overlay, *(path for _, path in job.targets())):
        keep_inputs(target, job.video)
    loaded = load_model(job.model, device=job.device, speed=job.speed) if engine is None else engine
    fresh = VideoTracker(job.video, loaded, options=TrackingOptions(policy=job.policy))
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


def gone_on_with(job: Job, fresh: VideoTracker) -> VideoTracker:
    """The tracker of a stopped run. Raises `FormatError` if its prompts or its model were others than the new one's."""
    if read_project(job.session).model == fresh.engine.config.name:
        kept = VideoTracker.open(job.session, job.video, fresh.engine, options=fresh.options)
        if prompts_in(kept) == prompts_in(fresh):
            return kept
        kept.close()
    raise FormatError(
        f"{job.session} is the session of a run with other prompts, or with another model or speed; give another "
        "--out, or --overwrite to begin again"
    )


def prompts_in(tracker: VideoTracker) -> list[Prompted]:
    """The prompts of a session, without what was followed between."""
    return [event for event in tracker.events if isinstance(event, Prompted)]


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
            tracker.save(job.session)
    return done


def follow(tracker: VideoTracker, job: Job) -> Iterator[FrameResult]:
    """The frames of a job as they are followed; forward, those that are known already come first."""
    return forward(tracker) if job.direction == "forward" else tracker.propagate(direction=job.direction)


def length(tracker: VideoTracker, job: Job) -> int | None:
    """How many results `follow` gives; None if the video's length is not known."""
    count, prompted = tracker.source.frame_count, [said.frame for said in job.prompts]
    if job.direction == "backward":
        return max(prompted) + 1
    if count is None:
        return None
    ahead = max(0, count - min(prompted))
    return ahead if job.direction == "forward" else max(prompted) + 1 + ahead


def forward(tracker: VideoTracker) -> Iterator[FrameResult]:
    """What is known already, then what is followed."""
    frames = set(tracker.known_frames())
    first = min(frames)
    last = next((f for f in frames if f + 1 not in frames), first)
    yield from (tracker.result(frame) for frame in range(first, last))
    yield from tracker.propagate(start=last)


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
            tracker.save(job.session)
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
