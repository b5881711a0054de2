"""`masklet segment`: the mask of a thing in a picture, or at the same place in many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli.choices import MAPS, DeviceChoice, MapChoice, ModelChoice, spread_options
from masklet.cli.discovery import GROUNDER_HELP
from masklet.cli.pictures import FORMAT_HELP, do_pictures, on_the_ground
from masklet.cli.prompts import read_numbers, read_point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from masklet.image import ImagePredictor, Masks, MaskSet


@spread_options
def segment(
    *,
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
    text: Annotated[
        str | None, typer.Option(help="What to find, in place of points and boxes, such as 'red car . dog'.")
    ] = None,
    grounder: Annotated[str, typer.Option(help=GROUNDER_HELP)] = "grounding-dino-tiny",
    least_score: Annotated[float, typer.Option(min=0, max=1, help="The lowest score of a box for words.")] = 0.3,
    model: ModelChoice = "nano",
    device: DeviceChoice = None,
    format: Annotated[str | None, typer.Option(help=FORMAT_HELP + "davis.")] = None,
    refine: Annotated[bool, typer.Option("--refine", help="Look at small things a second time, in a crop.")] = False,
    soft_edges: Annotated[
        bool, typer.Option("--soft-edges", help="Let edges follow hair and fur; only for --format cutout.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do pictures again whose masks are there.")] = False,
    map_coordinates: Annotated[
        bool,
        typer.Option("--map", help="--point and --box are in coordinates of the picture's CRS.", rich_help_panel=MAPS),
    ] = False,
    ground: MapChoice,
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
      masklet segment photos --text "red car . dog" --out all.json
      masklet segment city.tif --map --point 691034.5,5334801.2 --out roof.gpkg
    """
    mapped = on_the_ground(out, format)
    ground.check(mapped)
    if soft_edges and format != "cutout":
        raise typer.BadParameter("--soft-edges is for cut-outs; give --format cutout too")
    kind = "soft-cutout" if soft_edges else format
    check_pointed(point, box, text)
    points = [read_point(text, text, "give --point x,y[,0]") for text in point]
    boxes = [read_numbers(text, (4,), text, "give --box x0,y0,x1,y1") for text in box]

    def begin() -> Callable[[Path], Masks | MaskSet]:
        from masklet.image import ImagePredictor

        predictor = ImagePredictor(model, device=device)
        if text is not None:
            return partial(masks_of_words, predictor, text, grounder, least_score, refine)
        if mapped or map_coordinates or ground.resolution:
            return partial(masks_on_the_ground, predictor, points, boxes, map_coordinates, ground.resolution)
        return partial(masks_of, predictor, points, boxes, refine)

    do_pictures(images, out, kind, overwrite, "davis", begin, ground.simplify)


def masks_on_the_ground(
    predictor: ImagePredictor,
    points: Sequence[tuple[float, float, int]],
    boxes: Sequence[tuple[float, ...]],
    map_coordinates: bool,
    resolution: float | None,
    path: Path,
) -> MaskSet:
    """The same of a picture that lies on the ground, of which only what is around each thing is looked at."""
    from dataclasses import replace

    import numpy as np

    from masklet.image import segment_near
    from masklet.image.result import join_masks
    from masklet.media.large import LargePicture

    with LargePicture(path, resolution=resolution) as picture:

        def pixels(places: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
            return picture.pixels(places) if map_coordinates else np.array(places, np.float64)

        found = []
        for number, box in enumerate(boxes or [None]):
            corners = None
            if box is not None:
                ends = pixels([box[:2], box[2:]]) + (0.5 if map_coordinates else 0.0)
                corners = np.concatenate((ends.min(axis=0), ends.max(axis=0)))
            masks = segment_near(
                picture,
                points=pixels([(x, y) for x, y, _ in points]) if points else None,
                labels=[label for *_, label in points] or None,
                box=corners,
                model=predictor.engine,
            )
            found.append(replace(masks, objects=masks.objects + number))
    return join_masks(found)


def masks_of(
    predictor: ImagePredictor,
    points: Sequence[tuple[float, float, int]],
    boxes: Sequence[tuple[float, ...]],
    refine: bool,
    path: Path,
) -> Masks:
    """The masks of one picture: of one object with points (x, y, label), or of one for each box."""
    return predictor.predict(
        predictor.encode(path),
        points=[[(x, y) for x, y, _ in points]] if points else None,
        labels=[[label for *_, label in points]] if points else None,
        boxes=boxes or None,
        refine=refine,
    )


def masks_of_words(
    predictor: ImagePredictor, text: str, grounder: str, least: float, refine: bool, path: Path
) -> Masks:
    """One mask of each thing that the text names in a picture. Raises PromptError if there is none."""
    from masklet.errors import PromptError
    from masklet.image.predictor import segment_text

    masks = segment_text(predictor, predictor.encode(path), text, grounder, least, refine)
    if not len(masks):
        raise PromptError(f"nothing is found for {text!r}; give other words, or a lower --least-score than {least:g}")
    return masks


def check_pointed(points: Sequence[str], boxes: Sequence[str], text: str | None) -> None:
    """Raise a usage error unless something is pointed at, in a way that is clear."""
    if text is not None:
        if points or boxes:
            raise typer.BadParameter("--text finds things itself, and --point and --box point at them; give either")
        return
    if not points and not boxes:
        raise typer.BadParameter("nothing is pointed at; give --point x,y, --box x0,y0,x1,y1 or --text")
    if points and len(boxes) > 1:
        raise typer.BadParameter(
            f"--point came with {len(boxes)} boxes, which are as many things; give points with one box at most"
        )
