"""`masklet segment`: the mask of a thing in a picture, or at the same place in many."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.errors import MaskletError

if TYPE_CHECKING:
    from masklet.image import ImagePredictor


DEFAULT_FORMAT = "index"
"""Of masks in a folder."""


@dataclass(frozen=True)
class Job:
    """One picture, and where its masks go."""

    picture: Path
    out: Path


@dataclass(frozen=True)
class Clicks:
    """What is asked of every picture.

    Attributes:
        points: x, y and a label: 1 include, 0 exclude.
        boxes: x0, y0, x1, y1, each around an object of its own.
    """

    points: tuple[tuple[float, ...], ...]
    boxes: tuple[tuple[float, ...], ...]


@dataclass
class Tally:
    """How it went."""

    written: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)


def segment(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Pictures, folders of pictures, or patterns.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option(help="A file such as mask.png for one picture, else a folder.", show_default=False)
    ],
    point: Annotated[
        list[str], typer.Option(help="x,y, a click on the thing; x,y,0 excludes. May be given several times.")
    ] = [],  # noqa: B006
    box: Annotated[
        list[str],
        typer.Option(help="x0,y0,x1,y1, a box around the thing. Several boxes are several things."),
    ] = [],  # noqa: B006
    model: Annotated[str, typer.Option(help="Name or file of a model; see masklet models.")] = "nano",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is if not given.")] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="index (PNG of object numbers), cutout, overlay (PNGs) or coco (JSON). "
            "If not given, the ending of OUT tells, and in a folder it is index."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do pictures again whose masks are there.")] = False,
) -> None:
    """Find the mask of a thing that you point at, in one picture or at the same place in many.

    Coordinates are pixels of the picture as it is shown. Pictures whose masks are there already are passed over. If a
    picture cannot be done it is told, and the rest go on.

    \b
    Examples:
      masklet segment cat.jpg --point 320,240 --out mask.png
      masklet segment cat.jpg --box 40,60,220,240 --point 90,100,0 --out cat.png --format cutout
      masklet segment photos "more/**/*.jpg" --box 40,60,220,240 --out masks --model sam2.1-tiny
    """
    clicks = typed(point, box)
    tally = Tally()
    found = find_pictures(images, tally)
    jobs = planned(found, out, format)
    todo = [job for job in jobs if overwrite or not job.out.exists()]
    tally.skipped = len(jobs) - len(todo)
    if todo:
        from masklet.image import ImagePredictor

        do_all(ImagePredictor(model, device=device), with_progress(todo), clicks, format, tally)
    for failure in tally.failures:
        typer.echo(f"masklet: {failure}", err=True)
    typer.echo(summary(tally, out))
    if tally.failures:
        raise typer.Exit(1)


def typed(points: Sequence[str], boxes: Sequence[str]) -> Clicks:
    """The prompts as numbers. Raises a usage error that shows what was typed and what was expected."""
    if not points and not boxes:
        raise typer.BadParameter("nothing is pointed at; give --point x,y or --box x0,y0,x1,y1")
    if points and len(boxes) > 1:
        raise typer.BadParameter(
            f"--point came with {len(boxes)} boxes, which are as many things; give points with one box at most"
        )
    clicks = Clicks(
        tuple(numbers(text, "--point", "x,y[,0]", (2, 3)) for text in points),
        tuple(numbers(text, "--box", "x0,y0,x1,y1", (4,)) for text in boxes),
    )
    for text, click in zip(points, clicks.points, strict=True):
        if len(click) == 3 and click[2] not in (0, 1):
            raise typer.BadParameter(f"'{text}' has the label {click[2]:g}; give 1 to include, or 0 to exclude")
    return Clicks(tuple(click if len(click) == 3 else (*click, 1.0) for click in clicks.points), clicks.boxes)


def numbers(text: str, option: str, shape: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in counts:
        raise typer.BadParameter(f"'{text}' cannot be read; give {option} {shape}")
    return values


def find_pictures(arguments: Sequence[str], tally: Tally) -> dict[Path, Path]:
    """Every picture, and its place below OUT, without an ending. What holds no picture is a failure."""
    from masklet.media.image_file import IMAGE_SUFFIXES

    found: dict[Path, Path] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            base, pictures = path, sorted(path.iterdir())
        elif glob.has_magic(argument) and not path.exists():
            base, pictures = fixed_part(path), sorted(map(Path, glob.glob(argument, recursive=True)))
        else:
            found[path] = Path(path.stem)
            continue
        shown = [p for p in pictures if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
        if not shown:
            kinds = " ".join(IMAGE_SUFFIXES)
            tally.failures.append(f"there is no picture in {argument}; give files of these kinds: {kinds}")
        found.update({picture: picture.relative_to(base).with_suffix("") for picture in shown})
    return found


def fixed_part(pattern: Path) -> Path:
    """The folder in which all that fits a pattern lies."""
    fixed = [part for part in pattern.parents if not glob.has_magic(str(part))]
    return fixed[0] if fixed else Path()


def planned(found: dict[Path, Path], out: Path, format: str | None) -> list[Job]:
    """Where each picture's masks go: to OUT itself if it is a file, else below it. No picture is ever replaced."""
    from masklet.image.save import FORMATS, find_format
    from masklet.media.image_file import IMAGE_SUFFIXES

    entry = find_format(format or DEFAULT_FORMAT)
    suffix, endings = out.suffix.lower(), list(dict.fromkeys(known.suffix for known in FORMATS.values()))
    if out.is_dir() or suffix not in (*endings, *IMAGE_SUFFIXES):
        jobs = [Job(picture, out / place.with_name(place.name + entry.suffix)) for picture, place in found.items()]
    elif suffix not in endings or (format and suffix != entry.suffix):
        right = entry.suffix if format else " or ".join(endings)
        raise typer.BadParameter(f"{out} ends in {suffix}; give a file that ends in {right}, or a folder")
    elif len(found) > 1:
        raise typer.BadParameter(f"{out} is one file for {len(found)} pictures; give a folder as --out")
    else:
        jobs = [Job(picture, out) for picture in found]
    check_targets(jobs)
    return jobs


def check_targets(jobs: Sequence[Job]) -> None:
    """Raises a usage error if two pictures have one target, or a target is one of the pictures."""
    pictures = {job.picture.resolve() for job in jobs}
    first: dict[Path, Job] = {}
    for job in jobs:
        if job.out.resolve() in pictures:
            raise typer.BadParameter(f"the masks would take the place of the picture {job.out}; give another --out")
        if (other := first.setdefault(job.out, job)) is not job:
            raise typer.BadParameter(
                f"{other.picture} and {job.picture} would both be written to {job.out}; do them in runs of their own"
            )


def do_all(predictor: ImagePredictor, jobs: Iterator[Job], clicks: Clicks, format: str | None, tally: Tally) -> None:
    """Do one picture after another. A failure is noted."""
    for job in jobs:
        try:
            do(predictor, job, clicks, format)
            tally.written += 1
        except MaskletError as error:
            tally.failures.append(f"{job.picture}: {error}")


def do(predictor: ImagePredictor, job: Job, clicks: Clicks, format: str | None) -> None:
    """One picture."""
    from masklet.formats.atomic import make_folder

    picture = predictor.encode(job.picture)
    points, labels = [click[:2] for click in clicks.points], [click[2] for click in clicks.points]
    masks = predictor.predict(
        picture, points=[points] if points else None, labels=[labels] if labels else None, boxes=clicks.boxes or None
    )
    make_folder(job.out.parent)
    masks.save(job.out, format)


def summary(tally: Tally, out: Path) -> str:
    parts = [f"{tally.written} {'picture' if tally.written == 1 else 'pictures'} done: masks in {out}"]
    if tally.skipped:
        parts.append(f"{tally.skipped} passed over, whose masks are there (--overwrite does them again)")
    if tally.failures:
        parts.append(f"{len(tally.failures)} failed")
    return "; ".join(parts)


def with_progress(jobs: Sequence[Job]) -> Iterator[Job]:
    """The jobs, with a bar if there are several."""
    from rich.console import Console
    from rich.progress import track

    yield from track(jobs, "segmenting", console=Console(stderr=True), disable=len(jobs) == 1)
