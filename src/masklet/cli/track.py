"""`masklet track`: follow objects through a video file, or through many videos."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from masklet.cli import choices
from masklet.cli.choices import option, parse_box, parse_mask, parse_point, spread_options, stopped, tell
from masklet.errors import FormatError
from masklet.jobs.prompts import prompts_of

if TYPE_CHECKING:
    from masklet.discovery import DiscoveryOptions
    from masklet.executors import Executor
    from masklet.jobs.many import Work
    from masklet.jobs.record import VideoRecord
    from masklet.jobs.track import Job

Direction = Literal["forward", "backward", "both"]

looking, batch = partial(option, panel="With --everything"), partial(option, panel="Of many videos")
"""Options of two panels of the help."""

SHOWN_EVERY = 60.0
"""Seconds between two lines where there is no terminal."""


@dataclass(frozen=True, kw_only=True)
class DiscoveryChoice:
    """How things are found: fields of `DiscoveryOptions`, or, those of grids and masks, how masks of one picture are
    found. None if not given."""

    every: Annotated[int | None, looking("Look for new things every so many frames; 15 if not given.", 1, 10**6)] = None
    most: Annotated[int | None, looking("Follow so many things at most; 32 if not given.", 1, 254)] = None
    least_area: Annotated[
        float | None, looking("A thing covers at least this share of the picture; 0.002 if not given.", 0, 1)
    ] = None
    points_per_side: Annotated[
        int | None, looking("Clicks along each axis of the grid that finds things; 16 if not given.", 1, 1024)
    ] = None
    least_iou: Annotated[
        float | None, looking("Masks of new things are surer of themselves than this; usual for the model.", 0, 1)
    ] = None
    least_stability: Annotated[
        float | None, looking("Masks of new things change less than this at another threshold.", 0, 1)
    ] = None

    text: Annotated[str | None, looking("Look for what these words name, such as 'red car . dog'.")] = None
    grounder: Annotated[str | None, looking(choices.GROUNDER_HELP)] = None
    least_score: Annotated[float | None, looking("The lowest score of a box for words; 0.3 if not given.", 0, 1)] = None
    like: Annotated[
        str | None, looking("Look for what is marked here: dog.jpg beside its mask dog.png, a session, or COCO.")
    ] = None
    least_likeness: Annotated[
        float | None, looking("The lowest likeness to what --like shows; 0.88 if not given.", 0, 1)
    ] = None

    @property
    def given(self) -> dict[str, Any]:
        """What was given."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def asked(self, everything: bool, pointed: bool, direction: str, in_rows: bool) -> bool:
        """Whether things are looked for in place of being pointed at. Raises a usage error if what was typed does not
        go together; `in_rows` is whether rows of a manifest may ask for it too."""
        given = [f"--{name.replace('_', '-')}" for name in self.given]
        ways = [*["--everything"] * everything, *(way for way in ("--text", "--like") if way in given)]
        if "--like" in ways and len(ways) > 1:
            raise typer.BadParameter(f"{' and '.join(ways)} are ways to find things; give one")
        if not ways and given and not in_rows:
            raise typer.BadParameter(
                f"{given[0]} sets how things are looked for; give --everything, --text or --like too"
            )
        if ways and pointed:
            raise typer.BadParameter(
                f"{ways[0]} finds the objects itself, and --box, --point, --mask and --prompts point at them; give one "
                "or the other"
            )
        if ways and direction != "forward":
            raise typer.BadParameter(
                f"{ways[0]} goes forward, as things are found when they come in, and --direction {direction} came; "
                "leave it out"
            )
        return bool(ways)

    def options(self) -> DiscoveryOptions:
        """How everything is looked for; what was not given is as usual."""
        from masklet.discovery import DiscoveryOptions
        from masklet.words import phrases_of

        if self.like == "":
            raise typer.BadParameter("--like is empty; give the file with the example")
        if self.text is not None:
            phrases_of(self.text)  # says what is wrong with it, an empty one too
        usual, given = DiscoveryOptions(), self.given
        of_video = {name: given.pop(name) for name in self.given if hasattr(usual, name)}
        return replace(usual, masks=replace(usual.masks, **given), **of_video)


@dataclass(frozen=True, kw_only=True)
class ManyChoice:
    """Where many videos are done, and for how long each may take."""

    workers: Annotated[int | None, batch("Videos at once; on a cluster as many as it has room for.", 1, 100_000)] = None
    cluster: Annotated[
        str | None, batch("Do them on a Ray cluster: its address, or auto; here starts one on this machine.")
    ] = None
    cpus: Annotated[float, batch("Cores of a worker, on a cluster.", 0, 1024)] = 1
    gpus: Annotated[float | None, batch("GPUs of a worker, on a cluster, such as 0.25; 1 if there are any.", 0, 64)] = (
        None
    )
    lease: Annotated[float, batch("On a cluster, seconds for a frame, until the worker counts as dead.", 1, 10**6)] = (
        600.0
    )
    limit: Annotated[
        float | None, batch("On a cluster, seconds for a video; one that takes longer has failed.", 1, 10**7)
    ] = None
    metrics: Annotated[Path | None, batch("A file for Prometheus' textfile collector, kept up to date.")] = None
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


@spread_options
def track(
    *,
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO...",
            help="A video file, a folder of pictures, a volume such as scan.nii.gz, a folder of GeoTIFFs of one "
            "place; or many: several, a folder of videos, a pattern, URLs, or a manifest (CSV, JSON lines, Parquet).",
            show_default=False,
        ),
    ],
    out: Annotated[str, option("Folder for everything that is written; a URL for many videos.", show_default=False)],
    box: Annotated[
        list[str], option("FRAME:OBJECT:x0,y0,x1,y1, a box around an object; may be given several times.")
    ] = [],  # noqa: B006
    point: Annotated[
        list[str], option("FRAME:OBJECT:x,y, a click, or mm:OBJECT:x,y,z on a volume; a 0 behind excludes.")
    ] = [],  # noqa: B006
    mask: Annotated[
        list[str], option("FRAME:OBJECT:PNG, black and white, or with numbers of objects; may be given several times.")
    ] = [],  # noqa: B006
    prompts: Annotated[
        Path | None,
        option(
            "A JSON file with a list of prompts, each with frame, object, and box, points (and labels) or mask; "
            "or an object with such a list for each video, by its file's name."
        ),
    ] = None,
    everything: Annotated[
        bool, option("Follow all that is found, without pointing at anything.", name="--everything")
    ] = False,
    direction: Annotated[Direction | None, option("Where to follow; forward if not given.", show_default=False)] = None,
    reverse: Annotated[bool, option("The same as --direction backward.", name="--reverse")] = False,
    both: Annotated[bool, option("The same as --direction both.", name="--both")] = False,
    span: choices.SpanChoice,
    format: Annotated[
        list[str], option(f"A further format to write: {', '.join(choices.VIDEO_FORMATS)}. May be given several times.")
    ] = [],  # noqa: B006
    model: choices.ModelChoice = "nano",
    speed: choices.SpeedChoice = None,
    device: choices.DeviceChoice = None,
    policy: choices.PolicyChoice = "published",
    overlay: Annotated[Path | None, option("Where to write the overlay video; OUT/overlay.mp4 if not given.")] = None,
    no_overlay: Annotated[bool, option("Write no overlay video.", name="--no-overlay")] = False,
    overwrite: Annotated[bool, option("Begin again, even if OUT holds a part.", name="--overwrite")] = False,
    films: choices.FinishChoice,
    reading: choices.ReadingChoice,
    find_ends: Annotated[
        bool, option("Leave out slices beyond an object's ends.", name="--find-ends", panel=choices.SCANS)
    ] = False,
    choice: DiscoveryChoice,
    many: ManyChoice,
) -> None:
    """Follow objects through a video, from the first prompted frame to the end.

    Writes OUT/masks/00000.png ..., OUT/overlay.mp4, OUT/session.masklet, and further formats into OUT/formats. The same
    command goes on with a run that was stopped. Further prompts correct what is in OUT: only frames up to the
    neighbouring prompts are followed again, with --both on either side. Clicks are added to what was said on their
    frame; a box or a mask takes its place.

    With --everything nothing is pointed at: what is found becomes objects 1, 2, 3..., and new things are taken up as
    they come in. Each pixel is given to one object. With --text only what the words name is looked for,
    with --like only what is like an example.

    Of many videos each gets a folder in OUT, and OUT/manifest.parquet says what came of it. Those that are done are
    passed over; one that fails is reported, and the rest go on. --cluster spreads them over machines. A manifest has
    the columns path and, where it says more than the options, prompts, everything, like and name.

    Nothing is followed or written beyond --start and --stop; frames keep their numbers. Films and cut-outs are named
    after the video, formats/dog-prores.mov, and keep its colours and timecode.

    Frames count from 0; an object is any number or name; coordinates are pixels of the video as it is shown.

    \b
    Examples:
      masklet track dog.mp4 --box 0:1:40,60,220,240 --out dog
      masklet track game.mp4 --point 0:ball:311,96 --point 0:ball:60,40,0 --out a
      masklet track clip.mov --box 12:2:80,20,160,230 --both --out b
      masklet track clip.mov --point 40:2:96,120 --both --out b
      masklet track talk.mp4 --box 0:1:40,60,220,240 --format background --background white --out c
      masklet track dog.mov --box 0:1:40,60,220,240 --format prores --edges soft --steady 0.5 --out d
      masklet track clips --prompts prompts.json --out masks
      masklet track scan.nii.gz --box 40:liver:60,80,190,200 --both --find-ends --window liver --format nifti --out e
      masklet track street.mp4 --everything --every 30 --most 50 --out street
      masklet track street.mp4 --text "red car . dog" --out cars
      masklet track clips --like dog.jpg --out dogs
      masklet track s3://bucket/clips.parquet --cluster auto --gpus 0.5 --no-overlay --out s3://bucket/masks
    """
    said = choices.with_file([*map(parse_box, box), *map(parse_point, point), *map(parse_mask, mask)], prompts)
    check_folder(out)
    way = chosen_direction(direction, reverse, both)
    from masklet.jobs.sources import is_manifest, is_many

    in_rows = any(map(is_manifest, videos))
    everything = choice.asked(everything, any(said.values()), way, in_rows)
    several = len(videos) > 1 or is_many(videos[0]) or many.cluster is not None or many.engine is not None
    if not everything and not any(said.values()) and not in_rows:
        raise typer.BadParameter(
            "nothing to follow; give --box FRAME:OBJECT:x0,y0,x1,y1, --point FRAME:OBJECT:x,y, --everything or --like"
        )
    if overlay and no_overlay:
        raise typer.BadParameter("--overlay and --no-overlay are two wishes; give one")
    if several and overlay:
        raise typer.BadParameter("--overlay is one film, and there are many videos; leave it out, each gets its own")
    video = Path(videos[0])
    if not several and not everything and not prompts_of(video, said):
        raise typer.BadParameter(f"nothing is said of {video.name}; give --box, --point, or a prompt under its name")

    from masklet.jobs.many import Work
    from masklet.jobs.track import Job

    options = choice.options()
    job = Job(
        video,
        Path(out),
        None if no_overlay else overlay or Path(out, "overlay.mp4"),
        prompts_of(video, said),
        way,
        tuple(format),
        model,
        speed,
        device,
        policy,
        options if everything else None,
        films.finish(),
        reading.given,
        find_ends,
        span.start,
        span.stop,
    )
    if several:
        do_many(videos, Work(job, out, said, overwrite, options), many)
    else:
        do_one(job, overwrite)


def chosen_direction(direction: Direction | None, reverse: bool, both: bool) -> Direction:
    """The one direction that was asked for, by whatever name. Raises `typer.BadParameter` if there are two."""
    asked: dict[str, Direction] = {"--reverse": "backward"} if reverse else {}
    if both:
        asked["--both"] = "both"
    if direction is not None:
        asked[f"--direction {direction}"] = direction
    if len({*asked.values()}) > 1:
        raise typer.BadParameter(f"{' and '.join(asked)} are two directions; give one")
    return next(iter(asked.values()), "forward")


def check_folder(out: str) -> None:
    """Raise `BadParameter` for a new place that has the ending of a format's file: all is written into a folder."""
    from masklet.formats.registry import format_of

    with suppress(FormatError):
        entry = format_of(out)
        if entry.video and not Path(out).is_dir():
            folder = out[: -len(entry.video)]
            raise typer.BadParameter(
                f"--out is a folder for all that is written, and {out} looks like a file; give --out {folder} "
                f"--format {entry.name}"
            )


def do_one(job: Job, overwrite: bool) -> None:
    """Track one video, and say what came of it."""
    from masklet.cli.terminal import bars, counted
    from masklet.jobs.track import begin, run

    with begin(job, None, overwrite, tell) as tracker, bars() as progress:
        done = run(tracker, job, partial(counted, progress))
    for note in done.notes:
        tell(note)
    frames = "1 frame" if done.frames == 1 else f"{done.frames} frames"
    overlay = f", overlay in {job.overlay}" if job.overlay and job.overlay.exists() else ""
    typer.echo(f"{frames}: masks in {job.out / 'masks'}{overlay}")
    for title, size in done.millilitres.items():
        typer.echo(f"{title}: {size:.3g} ml")
    for fault in done.faults:
        tell(fault)
    if done.stopped:
        raise stopped()
    if done.faults:
        raise typer.Exit(1)


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
    choices.check_names([Path(source.video) for source in sources], work.said)
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
