"""The common part of commands over many pictures: which pictures, where their masks go, and how it went."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import urlsplit

import typer

from masklet.cli.choices import MAPS, DeviceChoice, Levels, ModelChoice, Resolution, numbers, option, pair, tell
from masklet.errors import MaskletError
from masklet.jobs.places import find, fixed_part, is_url

if TYPE_CHECKING:
    from masklet.image import Masks, MaskSet
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
    model: ModelChoice = "nano"
    device: DeviceChoice = None
    resolution: Resolution = None
    bounds: Annotated[
        str | None, option("WEST,SOUTH,EAST,NORTH in degrees, the part of a map of tiles.", panel=MAPS)
    ] = None
    zoom: Annotated[
        int | None, option("Of tiles; the lowest that shows the resolution if not given.", 0, 23, panel=MAPS)
    ] = None
    levels: Levels = None
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

        bounds = None if self.bounds is None else numbers(self.bounds)
        levels = None if self.levels is None else pair(self.levels, "--levels", "BLACK,WHITE")
        return LargePicture(path, resolution=self.resolution, bounds=bounds, zoom=self.zoom, levels=levels)


Make: TypeAlias = "Callable[[Path | str], Masks | MaskSet]"
"""Makes the masks of a picture, or of a map by its URL."""


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
        raise typer.BadParameter(f"the format {format} is for videos; give one of {', '.join(PICTURE_FORMATS)}")
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
    from masklet.image.result import PictureFrame

    written = before = 0
    facts = Facts(size=(0, 0), frame_count=len(names), names=names, own_sizes=True)
    try:
        with Writer(find_format("coco").open, out, facts) as sink:
            for frame, picture in enumerate(pictures):
                best = None
                with noted(picture, failures):
                    best = make(picture).best
                if best is not None:
                    sink.write(PictureFrame(best, frame, before=before))
                    before += len(best)
                    written += 1
            if not written:
                raise MaskletError("no picture could be done")
    except MaskletError as error:
        failures.append(f"{out}: {error}")
        return 0
    return written
