"""`masklet segment`: the mask of a thing in a picture, or at the same place in many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli.pictures import FORMAT_HELP, do_pictures

if TYPE_CHECKING:
    from masklet.image import ImagePredictor, Masks


@dataclass(frozen=True)
class Clicks:
    """What is asked of every picture.

    Attributes:
        points: x, y and a label: 1 include, 0 exclude.
        boxes: x0, y0, x1, y1, each around an object of its own.
    """

    points: tuple[tuple[float, ...], ...]
    boxes: tuple[tuple[float, ...], ...]


def segment(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Pictures, folders of pictures, or patterns.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="A file such as mask.png for one picture, a folder, or a .json of COCO for all.", show_default=False
        ),
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
    format: Annotated[str | None, typer.Option(help=FORMAT_HELP + "davis.")] = None,
    refine: Annotated[bool, typer.Option("--refine", help="Look at small things a second time, in a crop.")] = False,
    soft_edges: Annotated[
        bool, typer.Option("--soft-edges", help="Let edges follow hair and fur; only for --format cutout.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do pictures again whose masks are there.")] = False,
) -> None:
    """Find the mask of a thing that you point at, in one picture or at the same place in many.

    Coordinates are pixels of the picture as it is shown. Pictures whose masks are there already are passed over. If a
    picture cannot be done it is reported, and the rest go on.

    \b
    Examples:
      masklet segment cat.jpg --point 320,240 --out mask.png
      masklet segment cat.jpg --box 40,60,220,240 --point 90,100,0 --out cat.png --format cutout --soft-edges
      masklet segment photos "more/**/*.jpg" --box 40,60,220,240 --out masks --model sam2.1-tiny
      masklet segment photos --box 40,60,220,240 --out all.json
    """
    if soft_edges and format != "cutout":
        raise typer.BadParameter("--soft-edges is for cut-outs; give --format cutout too")
    kind = "soft-cutout" if soft_edges else format
    clicks = typed(point, box)

    def begin() -> Callable[[Path], Masks]:
        from masklet.image import ImagePredictor

        return partial(masks_of, ImagePredictor(model, device=device), clicks, refine)

    do_pictures(images, out, kind, overwrite, "davis", begin)


def masks_of(predictor: ImagePredictor, clicks: Clicks, refine: bool, path: Path) -> Masks:
    """The masks of one picture."""
    points, labels = [click[:2] for click in clicks.points], [click[2] for click in clicks.points]
    return predictor.predict(
        predictor.encode(path),
        points=[points] if points else None,
        labels=[labels] if labels else None,
        boxes=clicks.boxes or None,
        refine=refine,
    )


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
