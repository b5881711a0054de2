"""`masklet track`: follow objects through a video file, or every video of a folder."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from masklet.cli import discovery
from masklet.cli.batch import ManyChoice, do_many
from masklet.cli.choices import (
    SCANS,
    VIDEO_FORMATS,
    DeviceChoice,
    FinishChoice,
    ModelChoice,
    PolicyChoice,
    ReadingChoice,
    SpeedChoice,
    StartChoice,
    StopChoice,
    check_span,
    option,
    spread_options,
    stopped,
    tell,
)
from masklet.cli.prompts import parse_box, parse_mask, parse_point, with_file
from masklet.errors import FormatError
from masklet.jobs.prompts import prompts_of

if TYPE_CHECKING:
    from masklet.jobs.job import Job


Direction = Literal["forward", "backward", "both"]


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
    everything: discovery.Everything = False,
    direction: Annotated[Direction | None, option("Where to follow; forward if not given.", show_default=False)] = None,
    reverse: Annotated[bool, option("The same as --direction backward.", name="--reverse")] = False,
    both: Annotated[bool, option("The same as --direction both.", name="--both")] = False,
    start: StartChoice = 0,
    stop: StopChoice = None,
    format: Annotated[
        list[str], option(f"A further format to write: {', '.join(VIDEO_FORMATS)}. May be given several times.")
    ] = [],  # noqa: B006
    model: ModelChoice = "nano",
    speed: SpeedChoice = None,
    device: DeviceChoice = None,
    policy: PolicyChoice = "published",
    overlay: Annotated[Path | None, option("Where to write the overlay video; OUT/overlay.mp4 if not given.")] = None,
    no_overlay: Annotated[bool, option("Write no overlay video.", name="--no-overlay")] = False,
    overwrite: Annotated[bool, option("Begin again, even if OUT holds a part.", name="--overwrite")] = False,
    films: FinishChoice,
    reading: ReadingChoice,
    find_ends: Annotated[
        bool, option("Leave out slices beyond an object's ends.", name="--find-ends", panel=SCANS)
    ] = False,
    choice: discovery.DiscoveryChoice,
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
    said = with_file([*map(parse_box, box), *map(parse_point, point), *map(parse_mask, mask)], prompts)
    check_span(start, stop)
    check_folder(out)
    looking = vars(choice)
    way = chosen_direction(direction, reverse, both)
    from masklet.jobs.sources import is_manifest, is_many

    in_rows = any(map(is_manifest, videos))
    everything = discovery.check_everything(everything, looking, any(said.values()), way, in_rows)
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

    from masklet.jobs.job import Job
    from masklet.jobs.many import Work

    options = discovery.discovery_options(looking)
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
        start,
        stop,
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
