"""`masklet track`: follow objects through a video file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli.prompts import TypedPrompt, parse_box, parse_mask, parse_point, read_prompts

if TYPE_CHECKING:
    from masklet.video import VideoTracker


class Direction(str, Enum):
    """Where to follow."""

    forward = "forward"
    backward = "backward"
    both = "both"


def track(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of pictures.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for everything that is written.", show_default=False)],
    box: Annotated[
        list[str], typer.Option(help="FRAME:OBJECT:x0,y0,x1,y1, a box around an object; may be given several times.")
    ] = [],  # noqa: B006
    point: Annotated[
        list[str],
        typer.Option(help="FRAME:OBJECT:x,y, a click on an object; x,y,0 excludes. May be given several times."),
    ] = [],  # noqa: B006
    mask: Annotated[
        list[str],
        typer.Option(help="FRAME:OBJECT:PNG, a grey or palette picture, not 0 on the object; as often as needed."),
    ] = [],  # noqa: B006
    prompts: Annotated[
        Path | None, typer.Option(help="A JSON file with a list of prompts; see docs/reference.md.")
    ] = None,
    direction: Annotated[Direction, typer.Option(help="Where to follow.")] = Direction.forward,
    format: Annotated[
        list[str], typer.Option(help="A further format to write, such as coco; may be given several times.")
    ] = [],  # noqa: B006
    model: Annotated[str, typer.Option(help="Name or file of a model; see masklet models.")] = "nano",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is if not given.")] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="Where to write the overlay video; OUT/overlay.mp4 if not given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin again, even if OUT holds a part.")] = False,
) -> None:
    """Follow objects through a video, from the first prompted frame to the end.

    Writes OUT/masks/00000.png ..., OUT/overlay.mp4, OUT/session.masklet, and further formats into OUT/formats. A run
    that was stopped goes on where it was when it is started again.

    Frames count from 0; an object is any number or name; coordinates are pixels of the video as it is shown.

    \b
    Examples:
      masklet track dog.mp4 --box 0:1:40,60,220,240 --out dog
      masklet track game.mp4 --point 0:ball:311,96 --point 0:ball:60,40,0 --out a
      masklet track clip.mov --box 12:2:80,20,160,230 --direction both --out b
    """
    said = [
        *(parse_box(text) for text in box),
        *(parse_point(text) for text in point),
        *(parse_mask(text) for text in mask),
        *(read_prompts(prompts) if prompts else []),
    ]
    if not said:
        raise typer.BadParameter("nothing to follow; give --box FRAME:OBJECT:x0,y0,x1,y1 or --point FRAME:OBJECT:x,y")

    from masklet.cli.tracking import Job, begin, run

    film = overlay or out / "overlay.mp4"
    job = Job(video, out, film, direction.value, tuple(format), model, device)
    with begin(job, lambda tracker: prompt_all(tracker, said), overwrite) as tracker:
        done = run(tracker, job)
        if tracker.source.ended_early:
            typer.echo(f"masklet: {tracker.source.ended_early}", err=True)
    frames = "1 frame" if done.frames == 1 else f"{done.frames} frames"
    typer.echo(f"{frames}: masks in {out / 'masks'}, overlay in {film}")
    if done.stopped:
        typer.echo("stopped; what is finished stays, and the same command goes on from there", err=True)
        raise typer.Exit(130)


def prompt_all(tracker: VideoTracker, prompts: list[TypedPrompt]) -> None:
    """Give the typed prompts to a tracker, those of earlier frames first."""
    for prompt in sorted(prompts, key=lambda prompt: prompt.frame):
        if prompt.box is not None:
            tracker.add_box(frame=prompt.frame, object=prompt.object, box=prompt.box)
        if prompt.points:
            tracker.add_points(
                frame=prompt.frame, object=prompt.object, points=prompt.points, labels=prompt.labels or None
            )
        if prompt.mask is not None:
            from masklet.formats.davis import read_index_png

            tracker.add_mask(frame=prompt.frame, object=prompt.object, mask=read_index_png(prompt.mask) > 0)
