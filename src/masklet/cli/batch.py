"""`masklet track` with many videos: where they are done, bars, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from masklet.cli import choices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masklet.executors import Executor
    from masklet.jobs.many import Work
    from masklet.jobs.record import VideoRecord
    from masklet.jobs.sources import Source

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

    total: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    frames: int = 0
    stopped: bool = False

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
        states = {"done": self.done + self.skipped, "failed": self.failed, "left": self.left}
        lines = [f'masklet_videos{{state="{state}"}} {count}' for state, count in states.items()]
        return "\n".join(
            [
                "# HELP masklet_videos Videos of the run, by what came of them.",
                "# TYPE masklet_videos gauge",
                *lines,
                "# HELP masklet_frames_total Frames that this run has tracked.",
                "# TYPE masklet_frames_total counter",
                f"masklet_frames_total {self.frames}",
                "",
            ]
        )


def do_videos(sources: Sequence[Source], work: Work, choice: ManyChoice, tell: Callable[[str], None]) -> Tally:
    """Track every video, and tell those that fail. Ctrl-C ends all; what is finished stays."""
    from masklet.executors import Serial
    from masklet.jobs.many import run_all

    tally, executor = Tally(len(sources)), choice.executor()
    with showing(tally, choice.metrics, tell) as (show, watch):
        if isinstance(executor, Serial):
            work = replace(work, watch=watch)
        show()  # a file of metrics that cannot be written is met before the work
        try:
            for record in run_all(sources, work, executor):
                tally.add(record)
                if record.sentence and not record.before:
                    tell(f"{Path(record.video).name}: {record.sentence}")
                show()
        except KeyboardInterrupt:
            tally.stopped = True
    return tally


@contextmanager
def showing(
    tally: Tally, metrics: Path | None, tell: Callable[[str], None]
) -> Iterator[tuple[Callable[[], None], Any]]:
    """A bar over all videos, with how many a minute and how many failed, or a line each minute where there is no
    terminal; what brings it up to date, and what shows the frames of one video."""
    from masklet.atomic import write_whole
    from masklet.cli.terminal import bars, counted

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
            if metrics is not None:
                write_whole(metrics, tally.metrics())

        yield show, lambda results, what, total: counted(results, progress, what, total)
