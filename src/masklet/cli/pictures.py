"""`masklet segment`: masks of things in pictures that are pointed at. `masklet everything`: masks of all of them."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import urlsplit

import typer

from masklet.cli import choices
from masklet.cli.choices import MAPS, option, parse_numbers, parse_pair, read_numbers, read_point, spread_options, tell
from masklet.errors import MaskletError, MediaError, PromptError
from masklet.jobs.places import find, fixed_part, is_url
from masklet.jobs.prompts import TypedPrompt, prompts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from masklet.image import ImagePredictor, Masks, MaskSet
    from masklet.media.large import LargePicture

PICTURE_FORMATS = (
    "background", "coco", "cutout", "davis", "exr", "exr-float", "geojson", "geotiff", "gpkg", "labelme", "matte",
    "overlay", "rgba", "soft-cutout", "yolo",
)  # fmt: skip
"""Formats of single pictures, here so that help need not load them."""

FORMAT_HELP = (
    "davis (PNG of object numbers), cutout, soft-cutout, rgba, matte, overlay, background (PNGs), exr, exr-float, "
    "coco, labelme (JSON), yolo (text), gpkg, geojson or geotiff (maps). If not given, the ending of OUT decides, and "
    "in a folder it is davis, or of everything coco."
)

MAP_FORMATS = {".gpkg": "gpkg", ".geojson": "geojson", ".tif": "geotiff"}
"""Formats that lie on the ground, by their endings."""

FILE_ENDING = re.compile(r"\.[a-z]{2,}[0-9]?")
"""The pattern of a file's ending: .png and .mp4, and not the .2 of a folder that is named run.2."""


Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE",
        help="Pictures, folders of pictures, or patterns; or a map by the URL of its tiles.",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class PicturesChoice:
    """What is written of many pictures, and by which model."""

    out: Annotated[
        Path,
        option("A file such as mask.png for one picture, a folder, or a .json of COCO for all.", show_default=False),
    ]
    format: Annotated[str | None, option(FORMAT_HELP)] = None
    overwrite: Annotated[bool, option("Do pictures again whose masks are there.", name="--overwrite")] = False
    model: choices.ModelChoice = "nano"
    device: choices.DeviceChoice = None
    resolution: choices.Resolution = None
    bounds: Annotated[
        str | None, option("WEST,SOUTH,EAST,NORTH in degrees, the part of a map of tiles.", panel=MAPS)
    ] = None
    zoom: Annotated[
        int | None, option("Of tiles; the lowest that shows the resolution if not given.", 0, 23, panel=MAPS)
    ] = None
    levels: choices.LevelsChoice = None
    simplify: Annotated[float, option("Leave out corners within so many pixels.", 0, 1000, panel=MAPS)] = 0.0

    def __post_init__(self) -> None:
        if self.simplify and not self.mapped:
            raise typer.BadParameter("--simplify is for polygons of maps; give an --out that ends in .gpkg or .geojson")

    @property
    def mapped(self) -> bool:
        """Whether masks are written in coordinates of a map."""
        kind = MAP_FORMATS.get(self.out.suffix.lower()) if self.format is None else self.format
        return kind in MAP_FORMATS.values()

    @property
    def by_windows(self) -> bool:
        """Whether an option asks for pictures that are read window by window."""
        return self.mapped or any(given is not None for given in (self.resolution, self.bounds, self.zoom, self.levels))

    def large(self, path: str | Path) -> LargePicture:
        """A picture that is read window by window. Raises MediaError if it is none."""
        from masklet.media.large import LargePicture

        bounds = None if self.bounds is None else parse_numbers(self.bounds)
        levels = None if self.levels is None else parse_pair(self.levels, "--levels", "BLACK,WHITE")
        return LargePicture(path, resolution=self.resolution, bounds=bounds, zoom=self.zoom, levels=levels)


Make: TypeAlias = "Callable[[Path | str], Masks | MaskSet]"
"""Makes the masks of a picture, or of a map by its URL."""


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
    grounder: Annotated[str, option(choices.GROUNDER_HELP)] = "grounding-dino-tiny",
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
    said = choices.with_file([*around, *clicks], prompts)
    for prompt in chain.from_iterable(said.values()):
        if prompt.frame:
            raise typer.BadParameter(f"{prompts} has a prompt on frame {prompt.frame}; a picture has no frame but 0")
        if prompt.mask or prompt.millimetres:
            what = f"the mask {prompt.mask.name}" if prompt.mask else "a place in millimetres"
            raise typer.BadParameter(f"{prompts} has {what}; pictures take boxes and points")
    choices.check_names(list(map(Path, find_pictures(images, []))), said, "picture")

    def begin() -> Make:
        from masklet.image import ImagePredictor

        predictor = ImagePredictor(pictures.model, device=pictures.device)
        if text is not None:
            return lambda path: masks_of_words(predictor, path, text, grounder, least_score, refine)
        if not on_ground:
            return lambda path: masks_in_picture(predictor, path, prompts_of(Path(path), said), refine)

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


def masks_in_picture(
    predictor: ImagePredictor, path: Path | str, prompts: Sequence[TypedPrompt], refine: bool
) -> Masks:
    """The masks of one picture, of every object that prompts name. Raises PromptError if there is none."""
    from masklet.prompts import Prompt, merge_prompts, object_prompt

    if not prompts:
        raise PromptError("nothing is said of it; give a prompt under its name, or one for all pictures")
    picture, by_object = predictor.encode(path), dict[int | str, Prompt]()
    for said in prompts:
        name = f"object {said.object}: " if said.object != prompts[0].object else ""
        new = object_prompt(picture.size, 0, said.points, said.labels or None, said.box, None, name=name)
        by_object[said.object] = merge_prompts(by_object.get(said.object), new)
    masks = predictor.predict_prompts(picture, list(by_object.values()), refine=refine)
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


def do_pictures(
    images: Sequence[str], choice: PicturesChoice, begin: Callable[[], Make], *, format: str | None, usual: str
) -> None:
    """Do every picture whose masks are not there yet, report those that fail, and print a summary. Exit code 1 if one
    failed.

    `begin` loads what is needed, and is not called if all is done; `usual` is the format in a folder if none is named.
    """
    from rich.console import Console
    from rich.progress import track

    out, written, failures = choice.out, 0, list[str]()
    found = find_pictures(images, failures)
    jobs = planned(found, out, format, usual)
    todo = [picture for picture, target in jobs.items() if choice.overwrite or not target.exists()]
    shown = track(todo, "segmenting", console=Console(stderr=True), disable=len(todo) == 1)
    if todo and len(jobs) > 1 and out in jobs.values():
        names = [f"{place.as_posix()}{Path(picture).suffix}" for picture, place in found.items()]
        if len({*names}) < len(names):  # in several folders
            names = [Path(picture).as_posix() for picture in found]
        written = do_together(shown, begin(), out, names, failures)
    elif todo:
        from masklet.atomic import make_folder

        make = begin()
        for picture in shown:
            with noted(picture, failures):
                masks = make(picture)
                make_folder(jobs[picture].parent)
                masks.save(jobs[picture], format, tolerance=choice.simplify)
                written += 1
    for failure in failures:
        tell(failure)
    parts = [f"{written} {'picture' if written == 1 else 'pictures'} done: masks in {out}"]
    if skipped := len(jobs) - len(todo):
        parts.append(f"{skipped} passed over, whose masks are there (--overwrite does them again)")
    if failures:
        parts.append(f"{len(failures)} failed")
    typer.echo("; ".join(parts))
    if failures:
        raise typer.Exit(1)


def find_pictures(arguments: Sequence[str], failures: list[str]) -> dict[Path | str, Path]:
    """Every picture, and its place below OUT, without an ending. What holds no picture is a failure."""
    from masklet.media.image_file import IMAGE_SUFFIXES, pictures_in

    found: dict[Path | str, Path] = {}
    for argument in arguments:
        path = Path(argument)
        if is_url(argument):
            found[argument] = Path(urlsplit(argument).hostname or "map")
            continue
        if path.is_dir():
            base, pictures = path, pictures_in(path)
        elif glob.has_magic(argument) and not path.exists():
            base, pictures = Path(fixed_part(argument)), [Path(place) for place in find(argument)]
        else:
            found[path] = Path(path.stem)
            continue
        shown = [p for p in pictures if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
        if not shown:
            kinds = " ".join(IMAGE_SUFFIXES)
            failures.append(f"there is no picture in {argument}; give files of these kinds: {kinds}")
        found.update({picture: picture.relative_to(base).with_suffix("") for picture in shown})
    return found


def planned(found: dict[Path | str, Path], out: Path, format: str | None, usual: str) -> dict[Path | str, Path]:
    """Where each picture's masks go: to OUT itself if it is a file, else below it. Raises a usage error if a picture
    would be replaced, or two pictures have one target that they cannot share."""
    from masklet.formats.registry import find_format, format_of, formats

    entry = find_format(format or usual)
    if entry.picture is None:
        raise typer.BadParameter(
            f"the format {format} is not for single pictures; give one of {', '.join(PICTURE_FORMATS)}"
        )
    suffix, endings = out.suffix.lower(), sorted({known.picture for known in formats().values() if known.picture})
    if out.is_dir() or not FILE_ENDING.fullmatch(suffix):
        jobs = {picture: out / place.with_name(place.name + entry.picture) for picture, place in found.items()}
    elif suffix not in endings or (format and suffix != entry.picture):
        right = entry.picture if format else " or ".join(endings)
        raise typer.BadParameter(
            f"{out} ends in {suffix}; give a file that ends in {right}, or a folder: one that is there, or a name "
            "without such an ending"
        )
    elif len(found) > 1 and not (find_format(format) if format else format_of(out, picture=True)).holds_many_pictures:
        raise typer.BadParameter(
            f"{out} is one file for {len(found)} pictures; give a folder as --out, or a .json of coco"
        )
    else:
        jobs = dict.fromkeys(found, out)
    pictures, first = {Path(picture).resolve() for picture in jobs}, dict[Path, Path | str]()
    for picture, target in jobs.items():
        if target.resolve() in pictures:
            raise typer.BadParameter(f"the masks would take the place of the picture {target}; give another --out")
        if (other := first.setdefault(target, picture)) != picture and target != out:
            raise typer.BadParameter(
                f"{other} and {picture} would both be written to {target}; do them in runs of their own"
            )
    return jobs


@contextmanager
def noted(place: Path | str, failures: list[str]) -> Iterator[None]:
    """A MaskletError in the block is one of the failures, and ends nothing else."""
    try:
        yield
    except MaskletError as error:
        failures.append(f"{place}: {error}")


def do_together(
    pictures: Iterable[Path | str], make: Make, out: Path, names: Sequence[str], failures: list[str]
) -> int:
    """Do all pictures into one COCO file, a data set, and count them. If all fail, or it cannot be written, there is no
    file."""
    from masklet.formats.base import Facts
    from masklet.formats.registry import find_format
    from masklet.formats.writer import Writer
    from masklet.image.result import picture_frame

    written = before = 0
    facts = Facts(size=(0, 0), frame_count=len(names), names=names, own_sizes=True)
    try:
        with Writer(find_format("coco").open, out, facts) as sink:
            for frame, picture in enumerate(pictures):
                best = None
                with noted(picture, failures):
                    best = make(picture).best
                if best is not None:
                    sink.write(picture_frame(best, frame=frame, before=before))
                    before += len(best)
                    written += 1
            if not written:
                raise MaskletError("no picture could be done")
    except MaskletError as error:
        failures.append(f"{out}: {error}")
        return 0
    return written
