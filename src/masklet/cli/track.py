"""`masklet track`: follow objects through a video file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli.prompts import TypedPrompt, parse_box, parse_point

if TYPE_CHECKING:
    from masklet.video import FrameResult, VideoTracker

DEFAULT_RATE = 24.0
"""Frames a second of the overlay where the video does not tell its own."""


def track(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of pictures.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for masks/00000.png ... and overlay.mp4.", show_default=False)],
    box: Annotated[
        list[str], typer.Option(help="FRAME:OBJECT:x0,y0,x1,y1, a box around an object; may be given several times.")
    ] = [],  # noqa: B006
    point: Annotated[
        list[str],
        typer.Option(help="FRAME:OBJECT:x,y, a click on an object; x,y,0 excludes. May be given several times."),
    ] = [],  # noqa: B006
    model: Annotated[str, typer.Option(help="Name or file of a model; see masklet models.")] = "nano",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is if not given.")] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="Where to write the overlay video; OUT/overlay.mp4 if not given.")
    ] = None,
) -> None:
    """Follow objects through a video, from the first prompted frame to the end.

    Frames count from 0. An object is any number or name. Coordinates are pixels of the video as it is shown.

    \b
    Examples:
      masklet track dog.mp4 --box 0:1:40,60,220,240 --out dog
      masklet track game.mp4 --point 0:ball:311,96 --point 0:ball:60,40,0 --out a
      masklet track clip.mov --box 12:2:80,20,160,230 --out b --model sam2.1-tiny
    """
    prompts = [*(parse_box(text) for text in box), *(parse_point(text) for text in point)]
    if not prompts:
        raise typer.BadParameter("nothing to follow; give --box FRAME:OBJECT:x0,y0,x1,y1 or --point FRAME:OBJECT:x,y")

    from masklet.video import VideoTracker

    with VideoTracker(video, model, device=device) as tracker:
        for prompt in sorted(prompts, key=lambda prompt: prompt.frame):
            add(tracker, prompt)
        masks, film = out / "masks", overlay or out / "overlay.mp4"
        written = write(tracker, masks, film)
        if tracker.source.ended_early:
            typer.echo(f"masklet: {tracker.source.ended_early}", err=True)
    typer.echo(f"{written.frames} frames: masks in {masks}, overlay in {film}")
    if written.stopped:
        typer.echo("stopped; what is finished stays", err=True)
        raise typer.Exit(130)


def add(tracker: VideoTracker, prompt: TypedPrompt) -> None:
    """Give one typed prompt to the tracker."""
    if len(prompt.numbers) == 4:
        tracker.add_box(frame=prompt.frame, object=prompt.object, box=prompt.numbers)
    else:
        x, y, *label = prompt.numbers
        tracker.add_points(frame=prompt.frame, object=prompt.object, points=[(x, y)], labels=label or None)


@dataclass
class Written:
    """How far it came."""

    frames: int = 0
    stopped: bool = False


def write(tracker: VideoTracker, masks: Path, overlay: Path) -> Written:
    """Follow the objects and write every result as it comes. Ctrl-C keeps what is finished."""
    import numpy as np

    from masklet.formats.davis import IndexPngWriter
    from masklet.formats.overlay import OverlayWriter

    make_folder(overlay.parent)
    written = Written()
    with (
        IndexPngWriter(masks, tracker.size) as pictures,
        OverlayWriter(overlay, tracker.size, tracker.source.rate or DEFAULT_RATE) as film,
    ):
        try:
            for result in with_progress(tracker.propagate(), tracker.source.frame_count):
                pictures.write(result.frame, result.index_map())
                film.write(np.asarray(result.overlay()))
                written.frames += 1
        except KeyboardInterrupt:
            if not written.frames:
                raise
            written.stopped = True
    return written


def make_folder(folder: Path) -> None:
    """Make a folder, or say why it cannot be made."""
    from masklet.formats.atomic import unwritable

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def with_progress(results: Iterable[FrameResult], count: int | None) -> Iterator[FrameResult]:
    """The results, with a bar of frames, rate and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("tracking"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("tracking", total=count, rate="")
        for result in results:
            yield result
            speed = progress.tasks[task].speed
            progress.update(task, completed=result.frame + 1, rate=f"{speed:.1f} frames/s" if speed else "")
