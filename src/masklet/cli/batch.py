"""`masklet track` with many videos: where they are done, bars, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli import choices
from masklet.cli.choices import stopped, tell
from masklet.cli.prompts import check_names

if TYPE_CHECKING:
    from masklet.executors import Executor
    from masklet.jobs.many import Work
    from masklet.jobs.record import VideoRecord

PANEL = "Of many videos"
"""Where the help shows these options."""

LEASE = 600.0
"""Seconds that a video may take for one frame, on a cluster, if nothing is said."""

SHOWN_EVERY = 60.0
"""Seconds between two lines where there is no terminal."""


option = partial(choices.option, panel=PANEL)


@dataclass(frozen=True, kw_only=True)
class ManyChoice:
    """Where many videos are done, and for how long each may take."""

    workers: Annotated[int | None, option("Videos at once; on a cluster as many as it has room for.", 1, 100_000)] = (
        None
    )
    cluster: Annotated[
        str | None, option("Do them on a Ray cluster: its address, or auto; here starts one on this machine.")
    ] = None
    cpus: Annotated[float, option("Cores of a worker, on a cluster.", 0, 1024)] = 1
    gpus: Annotated[
        float | None, option("GPUs of a worker, on a cluster, such as 0.25; 1 if there are any.", 0, 64)
    ] = None
    lease: Annotated[float, option("On a cluster, seconds for a frame, until the worker counts as dead.", 1, 10**6)] = (
        LEASE
    )
    limit: Annotated[
        float | None, option("On a cluster, seconds for a video; one that takes longer has failed.", 1, 10**7)
    ] = None
    metrics: Annotated[Path | None, option("A file for Prometheus' textfile collector, kept up to date.")] = None
    engine: Annotated[str | None, typer.Option(hidden=True)] = None
    address: Annotated[str | None, typer.Option(hidden=True)] = None

    def executor(self) -> Executor:
        """Where videos are done. `--engine ray --address ADDRESS` is another name of `--cluster ADDRESS`."""
        from masklet.executors import Pool, Ray, Serial, gpu_count

        if self.engine not in (None, "ray"):
            raise typer.BadParameter(f"--engine {self.engine} is not known; give --cluster ADDRESS, or nothing")
        if self.address is not None and self.engine is None:
            raise typer.BadParameter("--address came without --engine ray; give --cluster ADDRESS in their place")
        cluster = (self.address or "here") if self.engine else self.cluster
        if cluster is not None:
            address = None if cluster == "here" else cluster
            return Ray(address, self.workers, self.cpus, self.gpus, self.lease, self.limit)
        return Serial() if self.workers in (None, 1) else Pool(self.workers or 1, gpu_count())


@dataclass
class Tally:
    """How it went."""

    total: int
    done: int = 0
    skipped: int = 0
    failed: int = 0
    frames: int = 0

    def add(self, record: VideoRecord) -> None:
        if record.status == "failed":
            self.failed += 1
        elif record.before:
            self.skipped += 1
        else:
            self.done += 1
            self.frames += record.frames

    @property
    def left(self) -> int:
        return self.total - self.done - self.skipped - self.failed

    def __str__(self) -> str:
        parts = [f"{self.done} {'video' if self.done == 1 else 'videos'} done"]
        if self.skipped:
            parts.append(f"{self.skipped} passed over that were done before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)

    def metrics(self) -> str:
        return f"""\
# HELP masklet_videos Videos of the run, by what came of them.
# TYPE masklet_videos gauge
masklet_videos{{state="done"}} {self.done + self.skipped}
masklet_videos{{state="failed"}} {self.failed}
masklet_videos{{state="left"}} {self.left}
# HELP masklet_frames_total Frames that this run has tracked.
# TYPE masklet_frames_total counter
masklet_frames_total {self.frames}
"""


def do_many(videos: Sequence[str], work: Work, choice: ManyChoice) -> None:
    """Track every video, with a bar over all, or a line each minute where there is no terminal, and tell those that
    fail. Ctrl-C ends all; what is finished stays. Exit code 1 if one failed."""
    from masklet.atomic import write_whole
    from masklet.cli.terminal import bars, counted
    from masklet.executors import Serial
    from masklet.jobs.many import run_all
    from masklet.jobs.sources import find_videos

    sources = find_videos(videos)
    check_names([Path(source.video) for source in sources], work.said)
    tally, executor, is_stopped = Tally(len(sources)), choice.executor(), False
    begun = told = monotonic()
    with bars() as progress:
        task = progress.add_task("videos", total=tally.total)

        def show() -> None:
            nonlocal told
            now, done = monotonic(), tally.done + tally.failed
            rate = f"{60 * done / max(now - begun, 0.1):.1f} videos/min"
            failed = f", {tally.failed} failed" if tally.failed else ""
            progress.update(task, completed=tally.total - tally.left, description=f"videos, {rate}{failed}")
            for old in progress.task_ids:
                if old != task:
                    progress.remove_task(old)
            if not progress.console.is_terminal and now - told > SHOWN_EVERY:
                told = now
                tell(f"{tally}, {tally.left} left, {rate}, {tally.frames / (now - begun):.1f} frames/s")
            if choice.metrics is not None:
                write_whole(choice.metrics, tally.metrics())

        if isinstance(executor, Serial):
            work = replace(work, watch=partial(counted, progress))
        show()  # a file of metrics that cannot be written is met before the work
        try:
            for record in run_all(sources, work, executor):
                tally.add(record)
                if record.sentence and not record.before:
                    tell(f"{Path(record.video).name}: {record.sentence}")
                show()
        except KeyboardInterrupt:
            is_stopped = True
    typer.echo(f"{tally}: masks{' and overlays' if work.pattern.overlay else ''} in {work.out}")
    if is_stopped:
        raise stopped()
    if tally.failed:
        raise typer.Exit(1)
