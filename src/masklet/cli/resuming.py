"""Going on with a run that was stopped or finished: with its settings, and with prompts that are new."""

from typing import Any

import typer

from masklet.cli.job import Job
from masklet.errors import FormatError
from masklet.formats.project_reader import read_project
from masklet.video import VideoTracker
from masklet.video.events import Prompted


def gone_on_with(job: Job, fresh: VideoTracker) -> VideoTracker:
    """The tracker of a run that was stopped or finished, with the job's prompts that it does not know yet; `fresh` is
    one with these prompts, of which nothing was followed.

    Raises `FormatError`, with what was there and what is asked for, if the run had other settings.
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
    kept = VideoTracker.open(job.session, job.open(), fresh.engine, options=fresh.options)
    if job.everything is None and (count := take_over(kept, fresh)):
        what = "a new prompt" if count == 1 else f"{count} new prompts"
        typer.echo(f"masklet: {what} for the run in {job.out}; what it does not speak for stays", err=True)
    return kept


def take_over(kept: VideoTracker, fresh: VideoTracker) -> int:
    """Give a session the prompts of another that were never given to it; how many these are.

    Clicks are added to what stands on their frame. A box or a mask, or clicks among which are those that stand there,
    take its place.
    """
    given = [event for event in kept.events if isinstance(event, Prompted)]
    asked = [
        Prompted(frame, name, said) for name, track in fresh.tracks.items() for frame, said in track.prompts.items()
    ]
    new = [event for event in asked if event not in given]
    for event in sorted(new, key=lambda event: event.frame):
        track = kept.tracks.get(event.object)
        there = track.prompts.get(event.frame) if track is not None else None
        more = event.prompt.box is None and event.prompt.mask is None
        adds = more and there is not None and there.mask is None and not {*there.points} & {*event.prompt.points}
        kept.add_prompt(frame=event.frame, object=event.object, prompt=event.prompt, replace=not adds)
    return len(new)


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
