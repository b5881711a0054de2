"""`masklet convert`: masks from one format to another."""

from pathlib import Path
from typing import Annotated

import typer

from masklet.cli.choices import FinishChoice, StartChoice, StopChoice, check_span, option, spread_options


@spread_options
def convert(
    *,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="A .masklet file, or masks of any format that is read.", show_default=False
        ),
    ],
    out: Annotated[Path, option("The file or folder to write.", show_default=False)],
    format: Annotated[
        str | None, option("Name of the format, as of masklet track --format; by the ending of OUT if not given.")
    ] = None,
    source_format: Annotated[
        str | None, option("Name of the format of SOURCE; found out if not given.", name="--from")
    ] = None,
    video: Annotated[
        Path | None,
        option("The video or pictures, for formats that hold pictures; of a .masklet file if it has moved."),
    ] = None,
    start: StartChoice = 0,
    stop: StopChoice = None,
    films: FinishChoice,
) -> None:
    """Write masks in another format. Nothing is computed again.

    \b
    Examples:
      masklet convert dog/session.masklet --out dog.json --format ytvis
      masklet convert dog/session.masklet --out masks --format objects
      masklet convert dog/session.masklet --out dog.mov --format prores
      masklet convert dog/session.masklet --out dog.mp4 --format background --background white
      masklet convert dog/session.masklet --out dog.mov --format prores --only dog --start 24 --stop 72
      masklet convert dog/session.masklet --out exr --format exr --edges soft --grow -1 --spill green
      masklet convert dog/session.masklet --out dog.mov --format prores --show mattes --only dog --only cat
      masklet convert task.xml --from cvat --out instances.json --format coco
      masklet convert labels --from labelme --out overlay.mp4 --video frames
    """
    from dataclasses import replace

    from masklet.cli.mask_files import chosen, of_masks, of_project
    from masklet.formats.registry import find_format, format_of, recognise_format, with_finish
    from masklet.formats.writer import Writer

    check_span(start, stop)
    finish = films.finish()
    kind = find_format(format) if format else format_of(out, background=films.background)
    entry = find_format(source_format) if source_format else recognise_format(source)
    held = of_project if entry.name == "project" else of_masks
    facts, results = held(source, out, entry, kind, video)
    frames = 0
    wishes = finish if kind.finishes else replace(finish, only=())
    with Writer(kind.open, out, with_finish(facts, kind, wishes)) as sink:
        for result in chosen(results, films.only, start, stop):
            sink.write(result)
            frames += 1
    typer.echo(f"{frames} frames in {out}")
