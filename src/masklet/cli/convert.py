"""`masklet convert`: a project file to any other format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli.choices import BackgroundChoice, keep_inputs

if TYPE_CHECKING:
    from masklet.formats.base import PlainFrame
    from masklet.formats.project import Project


def convert(
    project: Annotated[
        Path, typer.Argument(metavar="SESSION", help="A .masklet file, as masklet track writes it.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The file or folder to write.", show_default=False)],
    format: Annotated[
        str | None, typer.Option(help="Name of the format, such as coco; by the ending of OUT if not given.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="The video, for formats that hold pictures, if it lies elsewhere now.")
    ] = None,
    background: BackgroundChoice = None,
) -> None:
    """Write what a project file holds in another format. Nothing is computed again.

    \b
    Examples:
      masklet convert dog/session.masklet --out dog.json --format ytvis
      masklet convert dog/session.masklet --out masks --format objects
      masklet convert dog/session.masklet --out dog.mov --format prores
      masklet convert dog/session.masklet --out dog.mp4 --format background --background white
    """
    from dataclasses import replace

    from masklet.formats.project_reader import read_project, video_of
    from masklet.formats.registry import find_format, format_of, with_background
    from masklet.formats.writer import Writer
    from masklet.media.folder import picture_names

    kind = find_format(format) if format else format_of(out, background=background)
    held = read_project(project)
    keep_inputs(out, project, video, project.parent / held.video if held.video else None)
    facts = with_background(held.facts(), kind.name, background)
    if kind.shows_pictures:
        video = video or video_of(held, project)
        facts = replace(facts, audio_from=video if video.is_file() else None)
    lies = video or project.absolute().parent / held.video
    facts = replace(facts, names=picture_names(lies) if held.video else ())
    results = with_pictures(held, lies) if kind.shows_pictures else held.results()
    with Writer(kind.open, out, facts) as sink:
        for result in results:
            sink.write(result)
    typer.echo(f"{len(held.frames)} frames in {out}")


def with_pictures(held: Project, video: Path) -> Iterator[PlainFrame]:
    """The frames of a project with the pictures of its video."""
    from dataclasses import replace

    from masklet.formats.project import check_video
    from masklet.media.source import open_video
    from masklet.video.project import fingerprint_of

    with open_video(video) as source:
        check_video(held, fingerprint_of(source, str(video)))
        wanted = {result.frame: result for result in held.results()}
        for frame in source.frames(min(wanted, default=0)):
            if frame.index in wanted:
                yield replace(wanted[frame.index], image=frame.image)
