"""`masklet dataset build`: one data set of many annotated videos and pictures."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from masklet.datasets.build import Part

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
    out: Annotated[Path, typer.Option(help="A new folder.", show_default=False)],
    format: Annotated[
        str, typer.Option(help="coco, yolo, ytvis, davis or voc; or a format of videos, such as cvat or labelme.")
    ] = "coco",
    classes: Annotated[
        Path | None, typer.Option(help="A text with a class in each line; as they come if not given.")
    ] = None,
    val: Annotated[float, typer.Option(min=0, max=1, help="Share of the videos that become the split val.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Another one draws other videos for val.")] = 0,
) -> None:
    """Make one data set of many annotated videos and pictures: frames, annotations, classes, splits.

    Pictures of folders keep their names; frames of films are written as JPEG. The class of an object is its category,
    or its name where that is a text.

    \b
    Examples:
      masklet dataset build a/session.masklet b/session.masklet --out cars --format coco --val 0.2
      masklet dataset build sessions --out cars-yolo --format yolo --classes classes.txt
      masklet dataset build masks@clip.mp4 task.xml@frames --out set --format ytvis
    """
    from rich.console import Console
    from rich.progress import Progress

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
    typer.echo(
        f"{out}: {built.videos} videos, {built.frames} frames, {built.masks} masks; classes: {', '.join(built.classes)}"
    )


def spread(sources: Sequence[str]) -> list[str]:
    """The sources, with the .masklet files of folders in their order."""
    found = []
    for source in sources:
        folder = Path(source)
        sessions = sorted(folder.rglob("*.masklet")) if folder.is_dir() else []
        found += [str(session) for session in sessions] or [source]
    return found


def part_of(source: str) -> "Part":
    """The video of a session, or of masks beside it. Raises FormatError if it has no pictures."""
    from masklet.cli.convert import of_masks, of_project
    from masklet.datasets.build import Part
    from masklet.errors import FormatError
    from masklet.formats.registry import find_format, recognise_format

    text, _, place = source.rpartition("@")
    path, video = (Path(text), Path(place)) if text else (Path(source), None)
    entry = recognise_format(path)
    if entry.name != "project" and video is None:
        raise FormatError(f"{path} holds masks alone; give them with their video: {path}@VIDEO")
    held = of_project if entry.name == "project" else of_masks
    shown, nowhere = find_format("overlay"), Path()
    facts, _ = held(path, nowhere, entry, shown, video)
    lies = Path(facts.video) if video is None else video
    lies = lies if os.path.exists(lies) else path.absolute().parent / lies
    name = path.parent.name if path.name == "session.masklet" else lies.stem if video is None else path.stem
    pictures = lies if lies.is_dir() else None
    return Part(name, lambda: held(path, nowhere, entry, shown, video)[1], facts, pictures)


def in_splits(parts: "list[Part]", val: float, seed: int) -> "list[Part]":
    """The parts, of which a share is drawn for the split val: at least one of them is if the share is not 0."""
    from dataclasses import replace

    import numpy as np

    from masklet.errors import FormatError

    count = 0 if val == 0 else max(1, round(val * len(parts)))
    if count == len(parts) and 0 < val < 1:
        raise FormatError(f"--val {val:g} of {len(parts)} video leaves none to train on; give more videos, or --val 0")
    chosen = set(np.random.default_rng(seed).permutation(len(parts))[:count].tolist())
    return [replace(part, split="val") if place in chosen else part for place, part in enumerate(parts)]
