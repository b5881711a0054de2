"""Going on with a stopped run: only if it was asked for the same."""

from __future__ import annotations

from typing import Any

from masklet.cli.job import Job
from masklet.errors import FormatError
from masklet.formats.project_reader import read_project
from masklet.video import VideoTracker
from masklet.video.events import Prompted


def gone_on_with(job: Job, fresh: VideoTracker) -> VideoTracker:
    """The tracker of a stopped run; `fresh` is one with the job's prompts, of which nothing was followed yet.

    Raises `FormatError`, with what was there and what is asked for, if it was another run.
    """
    project = read_project(job.session)
    policy = {"policy": project.options["policy"] or "of its own"} if "policy" in project.options else {}
    there = {**model_and_speed(project.model), "everything": False, **project.notes, **policy}
    here = {**model_and_speed(fresh.engine.config.name), **job.settings}
    other = [name for name, value in here.items() if name in there and there[name] != value]
    if other:
        before, now = (", ".join(told(name, values[name]) for name in other) for values in (there, here))
        raise another_run(job, f"was made with {before}, and {now} is asked for")
    if project.weights and fresh.engine.digest and project.weights != fresh.engine.digest:
        raise another_run(job, f"was made with other weights of {project.model}")
    kept = VideoTracker.open(job.session, job.video, fresh.engine, options=fresh.options)
    if job.everything is None and prompts_in(kept) != prompts_in(fresh):
        kept.close()
        raise another_run(job, "was made with other prompts")
    return kept


def another_run(job: Job, why: str) -> FormatError:
    return FormatError(f"{job.session} {why}; give another --out, or --overwrite to begin again")


def model_and_speed(name: str) -> dict[str, Any]:
    """A model's name, and the mark of a speed mode or an image size that stands behind it."""
    plain, _, mark = name.partition(":")
    return {"model": plain, "speed": mark or "exact"}


def told(name: str, value: object) -> str:
    """A setting as it is typed: --policy quality, --everything, no --everything."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool) or value is None:
        return option if value else f"no {option}"
    return f"{option} {value}"


def prompts_in(tracker: VideoTracker) -> list[Prompted]:
    """The prompts of a session, without what was followed between."""
    return [event for event in tracker.events if isinstance(event, Prompted)]
