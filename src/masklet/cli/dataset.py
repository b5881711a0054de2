"""`masklet dataset build`: one data set of many annotated videos and pictures."""

from pathlib import Path
from typing import Annotated

import typer

from masklet.cli.choices import option

dataset = typer.Typer(no_args_is_help=True, help="Make data sets of what was annotated.")


@dataset.callback()
def commands() -> None:
    """Make data sets of what was annotated."""


@dataset.command()
def build(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help=".masklet files, folders of them, or MASKS@VIDEO: masks of any format that is read, and their video.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, option("A new folder.", show_default=False)],
    format: Annotated[
        str, option("coco, yolo, ytvis, davis or voc; or a format of videos, such as cvat or labelme.")
    ] = "coco",
    classes: Annotated[Path | None, option("A text with a class in each line; as they come if not given.")] = None,
    val: Annotated[float, option("Share of the videos that become the split val.", 0, 1)] = 0.0,
    seed: Annotated[int, option("Another one draws other videos for val.", 0, 2**63 - 1)] = 0,
) -> None:
    """Make one data set of many annotated videos and pictures: frames, annotations, classes, splits.

    Pictures of folders keep their names; frames of films become JPEG. An object's class is its category, or its name if
    that is a text.

    \b
    Examples:
      masklet dataset build a/session.masklet b/session.masklet --out cars --format coco --val 0.2
      masklet dataset build sessions --out cars-yolo --format yolo --classes classes.txt
      masklet dataset build masks@clip.mp4 task.xml@frames --out set --format ytvis
    """
    from rich.console import Console
    from rich.progress import Progress

    from masklet.cli.mask_files import in_splits, part_of, spread
    from masklet.datasets.build import build_dataset
    from masklet.errors import FormatError

    try:
        text = None if classes is None else classes.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise FormatError(f"{classes} cannot be read: {error}; give a text with a class in each line") from error
    named = None if text is None else [line.strip() for line in text.splitlines() if line.strip()]
    if named is not None and len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise FormatError(f"{classes} holds the class {twice} twice")
    parts = in_splits([part_of(source) for source in spread(sources)], val, seed)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("building", total=len(parts))
        built = build_dataset(
            parts, out, format, named, lambda name: progress.update(task, advance=1, description=name)
        )
    counted = {"video": built.videos, "frame": built.frames, "mask": built.masks}
    found = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counted.items())
    typer.echo(f"{out}: {found}; classes: {', '.join(built.classes)}")
