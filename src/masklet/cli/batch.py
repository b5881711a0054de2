"""A folder of videos: one job after another, those that are done passed over."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from masklet.atomic import write_whole
from masklet.checkpoints import load_model
from masklet.cli.job import Job
from masklet.cli.prompts import PromptsByVideo, prompts_of
from masklet.cli.terminal import bars
from masklet.cli.tracking import begin, run
from masklet.engines.base import Engine
from masklet.errors import FormatError, MaskletError, PromptError
from masklet.media.folder import VIDEO_SUFFIXES, files_in, holds_videos

RECORD = "done.json"
"""File in a video's folder that says what was done when it was done."""


@dataclass
class Tally:
    """How it went."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    stopped: bool = False

    def __str__(self) -> str:
        parts = [f"{self.done} {'video' if self.done == 1 else 'videos'} done"]
        if self.skipped:
            parts.append(f"{self.skipped} passed over that were done before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)


def videos_of(path: Path) -> list[Path]:
    """The videos of a folder of videos, in natural order; none of anything else."""
    return files_in(path, VIDEO_SUFFIXES) if holds_videos(path) else []


def planned(pattern: Job, videos: Sequence[Path], said: PromptsByVideo) -> list[Job]:
    """A job for each video, in a folder named like it: with the ending where two are the same without."""
    stems = [video.stem for video in videos]
    jobs = []
    for video in videos:
        out = pattern.out / (video.stem if stems.count(video.stem) == 1 else video.name)
        overlay = out / "overlay.mp4" if pattern.overlay else None
        jobs.append(replace(pattern, video=video, out=out, overlay=overlay, prompts=prompts_of(video, said)))
    return jobs


def run_all(jobs: Sequence[Job], overwrite: bool, tell: Callable[[str], None]) -> Tally:
    """Do one job after another. A job that fails is reported, and the rest go on; Ctrl-C ends all."""
    tally = Tally()
    todo = [job for job in jobs if overwrite or not is_done(job)]
    tally.skipped = len(jobs) - len(todo)
    if not todo:
        return tally
    engine = load_model(todo[0].model, device=todo[0].device, speed=todo[0].speed)
    with bars() as progress:
        for job in with_bar(todo, progress):
            try:
                tally.stopped = do(job, engine, overwrite, progress, tell)
            except MaskletError as error:
                tally.failed += 1
                tell(f"{job.video.name}: {error}")
                continue
            except KeyboardInterrupt:
                tally.stopped = True
            if tally.stopped:
                break
            tally.done += 1
    return tally


def do(job: Job, engine: Engine, overwrite: bool, progress: Progress, tell: Callable[[str], None]) -> bool:
    """One job, and a record that it is done. Returns whether it was stopped."""
    if not job.prompts and job.everything is None:
        raise PromptError("nothing is said of it; give a prompt under its name, or one for all videos")
    with begin(job, engine, overwrite) as tracker:
        done = run(tracker, job, progress)
        if tracker.source.ended_early:
            tell(tracker.source.ended_early)
    if done.faults:
        raise FormatError("; ".join(done.faults))
    if not done.stopped:
        write_whole(job.out / RECORD, json.dumps(record(job), indent=2))
    return done.stopped


def record(job: Job) -> dict[str, Any]:
    """A job in plain values: two that are alike write the same."""
    plain = {
        "video": job.video.name,
        "bytes": job.video.stat().st_size,
        "prompts": [asdict(prompt) for prompt in job.prompts],
        "direction": job.direction,
        "formats": job.formats,
        "background": job.background,
        "model": job.model,
        "speed": job.speed or "exact",
        **job.settings,
    }
    told: dict[str, Any] = json.loads(json.dumps(plain, default=str))
    return told


def is_done(job: Job) -> bool:
    """Whether a job like this was done, in the same folder."""
    try:
        return bool(json.loads((job.out / RECORD).read_text(encoding="utf-8")) == record(job))
    except (OSError, ValueError):
        return False


def with_bar(jobs: Sequence[Job], progress: Progress) -> Iterator[Job]:
    """The jobs, with a bar over all of them; bars of a job that ended go."""
    task = progress.add_task("videos", total=len(jobs))
    for job in jobs:
        progress.update(task, description=f"videos, now {job.video.name}")
        yield job
        progress.advance(task)
        for old in progress.task_ids:
            if old != task:
                progress.remove_task(old)
    progress.update(task, description="videos")
