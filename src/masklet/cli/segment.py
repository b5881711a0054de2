"""`masklet segment`: masks of things in pictures that are pointed at. `masklet everything`: masks of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli.choices import GROUNDER_HELP, MAPS, option, spread_options
from masklet.cli.pictures import Images, Make, PicturesChoice, do_pictures, find_pictures
from masklet.cli.prompts import check_names, read_numbers, read_point, with_file
from masklet.errors import MediaError, PromptError
from masklet.jobs.places import is_url
from masklet.jobs.prompts import TypedPrompt, prompts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from masklet.image import ImagePredictor, Masks, MaskSet
    from masklet.media.large import LargePicture


@spread_options
def segment(
    *,
    images: Images,
    point: Annotated[list[str], option("x,y, a click on the thing; x,y,0 excludes. May be given several times.")] = [],  # noqa: B006
    box: Annotated[list[str], option("x0,y0,x1,y1, a box around the thing. Several boxes are several things.")] = [],  # noqa: B006
    prompts: Annotated[
        Path | None,
        option(
            "A JSON file with a list of prompts, each with object, and box, or points (and labels); or an object "
            "with such a list for each picture, by its file's name. An object's name is its class."
        ),
    ] = None,
    text: Annotated[str | None, option("What to find, in place of points and boxes, such as 'red car . dog'.")] = None,
    grounder: Annotated[str, option(GROUNDER_HELP)] = "grounding-dino-tiny",
    least_score: Annotated[float, option("The lowest score of a box for words.", 0, 1)] = 0.3,
    pictures: PicturesChoice,
    refine: Annotated[bool, option("Look at small things a second time, in a crop.", name="--refine")] = False,
    soft_edges: Annotated[
        bool, option("Let edges follow hair and fur; only for --format cutout.", name="--soft-edges")
    ] = False,
    map_coordinates: Annotated[
        bool,
        option(
            "--point and --box are in coordinates of the picture's CRS; of tiles, longitude and latitude.",
            name="--map",
            panel=MAPS,
        ),
    ] = False,
) -> None:
    """Find the masks of things that you point at, in one picture or in many.

    Coordinates are pixels of the picture as it is shown. Pictures whose masks are there are passed over; one that
    cannot be done is reported, and the rest go on.

    \b
    Examples:
      masklet segment cat.jpg --point 320,240 --out mask.png
      masklet segment cat.jpg --box 40,60,220,240 --point 90,100,0 --out cat.png --format cutout --soft-edges
      masklet segment photos "more/**/*.jpg" --box 40,60,220,240 --out masks --model sam2.1-tiny
      masklet segment photos --prompts prompts.json --out all.json
      masklet segment photos --text "red car . dog" --out all.json
      masklet segment city.tif --map --point 691034.5,5334801.2 --out roof.gpkg
    """
    if soft_edges and pictures.format != "cutout":
        raise typer.BadParameter("--soft-edges is for cut-outs; give --format cutout too")
    kind = "soft-cutout" if soft_edges else pictures.format
    if text is not None and (point or box or prompts):
        raise typer.BadParameter(
            "--text finds things itself, and --point, --box and --prompts point at them; give either"
        )
    if text is None and not point and not box and prompts is None:
        raise typer.BadParameter("nothing is pointed at; give --point x,y, --box x0,y0,x1,y1, --prompts or --text")
    if point and len(box) > 1:
        raise typer.BadParameter(
            f"--point came with {len(box)} boxes, which are as many things; give points with one box at most"
        )
    points = [read_point(text, text, "give --point x,y[,0]") for text in point]
    boxes = [read_numbers(text, (4,), text, "give --box x0,y0,x1,y1") for text in box]
    on_ground = map_coordinates or pictures.by_windows or any(map(is_url, images))
    if on_ground and (prompts or text is not None):
        raise typer.BadParameter(
            f"{'--prompts' if prompts else '--text'} does not go with pictures on the ground; give --point or --box"
        )
    # Clicks on one thing, perhaps with its box; or a box for each of several things.
    clicks = (TypedPrompt(0, 1, points=((x, y),), labels=(label,)) for x, y, label in points)
    around = (TypedPrompt(0, number, box=corners) for number, corners in enumerate(boxes, start=1))
    said = with_file([*around, *clicks], prompts)
    for prompt in chain.from_iterable(said.values()):
        if prompt.frame:
            raise typer.BadParameter(f"{prompts} has a prompt on frame {prompt.frame}; a picture has no frame but 0")
        if prompt.mask or prompt.millimetres:
            what = f"the mask {prompt.mask.name}" if prompt.mask else "a place in millimetres"
            raise typer.BadParameter(f"{prompts} has {what}; pictures take boxes and points")
    check_names(list(map(Path, find_pictures(images, []))), said, "picture")

    def begin() -> Make:
        from masklet.image import ImagePredictor

        predictor = ImagePredictor(pictures.model, device=pictures.device)
        if text is not None:
            return lambda path: masks_of_words(predictor, path, text, grounder, least_score, refine)
        if not on_ground:
            return lambda path: masks_of(predictor, path, prompts_of(Path(path), said), refine)

        def on_the_ground(path: Path | str) -> MaskSet:
            with pictures.large(path) as picture:
                return masks_near(predictor, picture, points, boxes, map_coordinates)

        return on_the_ground

    do_pictures(images, pictures, begin, format=kind, usual="davis")


def masks_near(
    predictor: ImagePredictor,
    picture: LargePicture,
    points: Sequence[tuple[float, float, int]],
    boxes: Sequence[tuple[float, ...]],
    map_coordinates: bool,
) -> MaskSet:
    """The masks of a picture that lies on the ground, of which only what is around each thing is looked at."""
    import numpy as np

    from masklet.image import segment_near
    from masklet.image.result import join_masks

    def pixels(places: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
        return picture.pixels(places) if map_coordinates else np.array(places, np.float64)

    found = []
    for number, box in enumerate(boxes or [None]):
        corners = None
        if box is not None:
            x0, y0, x1, y1 = box
            ends = pixels([(x0, y0), (x1, y0), (x0, y1), (x1, y1)]) + (0.5 if map_coordinates else 0.0)
            corners = np.concatenate((ends.min(axis=0), ends.max(axis=0)))
        clicks = pixels([(x, y) for x, y, _ in points]) if points else None
        labels = [label for *_, label in points] or None
        masks = segment_near(picture, points=clicks, labels=labels, box=corners, model=predictor.engine)
        found.append(replace(masks, objects=masks.objects + number))
    return join_masks(found)


def masks_of(predictor: ImagePredictor, path: Path | str, prompts: Sequence[TypedPrompt], refine: bool) -> Masks:
    """The masks of one picture, of every object that prompts name. Raises PromptError if there is none."""
    if not prompts:
        raise PromptError("nothing is said of it; give a prompt under its name, or one for all pictures")
    by_object: dict[int | str, list[TypedPrompt]] = {}
    for prompt in prompts:
        by_object.setdefault(prompt.object, []).append(prompt)
    points = [[xy for prompt in of for xy in prompt.points] or None for of in by_object.values()]
    labels = [[n for p in of for n in p.labels or (1,) * len(p.points)] or None for of in by_object.values()]
    boxes = [next((prompt.box for prompt in reversed(of) if prompt.box), None) for of in by_object.values()]
    masks = predictor.predict(
        predictor.encode(path),
        points=points if any(points) else None,
        labels=labels if any(points) else None,
        boxes=boxes if any(boxes) else None,
        refine=refine,
    )
    names = [name if isinstance(name, str) else "" for name in by_object]
    return replace(masks, labels=tuple(names[number] for number in masks.objects))


def masks_of_words(
    predictor: ImagePredictor, path: Path | str, text: str, grounder: str, least: float, refine: bool
) -> Masks:
    """One mask of each thing that the text names in a picture. Raises PromptError if there is none."""
    from masklet.image.predictor import segment_text

    masks = segment_text(predictor, predictor.encode(path), text, grounder, least, refine)
    if not len(masks):
        raise PromptError(f"nothing is found for {text!r}; give other words, or a lower --least-score than {least:g}")
    return masks


@dataclass(frozen=True, kw_only=True)
class EverythingChoice:
    """How everything is looked for: fields of `masklet.EverythingOptions`."""

    points_per_side: Annotated[int, option("Clicks along each axis of the grid.", 1, 1024)] = 32
    points_per_batch: Annotated[int, option("Clicks at once: more need more memory.", 1, 4096)] = 64
    least_iou: Annotated[
        float | None, option("Masks are surer of themselves than this; usual for the model.", 0, 1)
    ] = None
    least_stability: Annotated[float | None, option("Masks change less than this at another threshold.", 0, 1)] = None
    most_overlap: Annotated[float, option("Of masks whose boxes overlap by more, the surest stays.", 0, 1)] = 0.7
    min_region: Annotated[int, option("Holes and islands of fewer pixels are filled and removed.", 0, 1 << 31)] = 0
    crop_layers: Annotated[
        int, option("Look again at crops, for small things: 1 is 2 x 2 crops, 2 also 4 x 4.", 0, 5)
    ] = 0
    refine: Annotated[bool, option("Give each mask to the decoder once more.", name="--refine")] = False


@spread_options
def everything(
    *,
    images: Images,
    pictures: PicturesChoice,
    choice: EverythingChoice,
    tile: Annotated[
        int, option("Do it tile by tile, each of this side in pixels: for pictures beyond memory.", 0, 32_768)
    ] = 0,
) -> None:
    """Find the masks of everything in a picture, or in many, without pointing at anything.

    Pictures whose masks are there are passed over; one that fails is reported, and the rest go on. Masks may overlap:
    coco keeps all of both, and in a PNG the smaller one lies on top. By tiles the format is coco, or one of maps.

    \b
    Examples:
      masklet everything street.jpg --out street.json
      masklet everything photos "more/**/*.jpg" --out masks --format overlay
      masklet everything cells.png --out cells.json --crop-layers 1 --min-region 20 --model sam2.1-tiny
      masklet everything aerial.tif --out aerial.json --tile 1024
      masklet everything city.tif --out roofs.gpkg --resolution 0.3 --simplify 1.5
      masklet everything "https://host/{z}/{x}/{y}.png" --bounds 11.55,48.13,11.56,48.14 --zoom 19 --out roofs.gpkg
    """
    mapped, format = pictures.mapped, pictures.format
    tile = tile or (1024 if pictures.by_windows or any(map(is_url, images)) else 0)
    if tile and not mapped and format not in (None, "coco"):
        raise typer.BadParameter(f"--tile writes coco or a map, and --format {format} came; leave one of them out")

    def begin() -> Make:
        from masklet.checkpoints import load_model
        from masklet.image import EverythingOptions, TileOptions, segment_everything, segment_tiles

        options = EverythingOptions(**vars(choice))
        loaded = load_model(pictures.model, device=pictures.device)
        if not tile:
            return lambda path: segment_everything(path, loaded, options)
        tiles = TileOptions(side=tile, overlap=tile // 4)

        def by_tiles(path: Path | str) -> MaskSet:
            with pictures.large(path) as picture:
                if mapped and picture.ground is None:  # said before hours of work
                    raise MediaError(f"{picture.name} does not say where it lies; give a GeoTIFF, or write coco")
                return segment_tiles(picture, loaded, options, tiles)

        return by_tiles

    kind = "coco" if tile and not mapped else format
    do_pictures(images, pictures, begin, format=kind, usual="coco")
