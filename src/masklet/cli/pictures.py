"""The common part of commands over many pictures: which pictures, where their masks go, and how it went."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import urlsplit

import typer

from masklet.cli.choices import MAPS, DeviceChoice, Levels, ModelChoice, Resolution, numbers, option, pair
from masklet.errors import MaskletError
from masklet.jobs.places import is_url

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


Jobs = dict[Path | str, Path]
"""Pictures, or URLs of maps, and where the masks of each go."""

Make: TypeAlias = "Callable[[Path | str], Masks | MaskSet]"
"""Makes the masks of a picture."""


@dataclass
class Tally:
    """How it went."""

    written: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)


def do_pictures(
    images: Sequence[str],
    choice: PicturesChoice,
    begin: Callable[[], Make],
    *,
    format: str | None,
    usual: str,
) -> None:
    """Do every picture whose masks are not there yet, report those that fail, and print a summary. Exit code 1 if one
    failed.

    `begin` loads what is needed, and is not called if all is done; `usual` is the format in a folder if none is named.
    """
    tally, out = Tally(), choice.out
    found = find_pictures(images, tally)
    jobs = planned(found, out, format, usual)
    todo = {picture: target for picture, target in jobs.items() if choice.overwrite or not target.exists()}
    tally.skipped = len(jobs) - len(todo)
    if todo and len(jobs) > 1 and out in jobs.values():
        names = [f"{place.as_posix()}{Path(picture).suffix}" for picture, place in found.items()]
        do_together(with_progress(todo), begin(), out, names, tally)
    elif todo:
        do_all(with_progress(todo), todo, begin(), format, tally, choice.simplify)
    for failure in tally.failures:
        typer.echo(f"masklet: {failure}", err=True)
    typer.echo(summary(tally, out))
    if tally.failures:
        raise typer.Exit(1)


def find_pictures(arguments: Sequence[str], tally: Tally) -> dict[Path | str, Path]:
    """Every picture, and its place below OUT, without an ending. What holds no picture is a failure."""
    from masklet.media.image_file import IMAGE_SUFFIXES, pictures_in

    found: dict[Path | str, Path] = {}
    for argument in arguments:
        if is_url(argument):
            found[argument] = Path(urlsplit(argument).hostname or "map")
            continue
        path = Path(argument)
        if path.is_dir():
            base, pictures = path, pictures_in(path)
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


def planned(found: dict[Path | str, Path], out: Path, format: str | None, usual: str) -> Jobs:
    """Where each picture's masks go: to OUT itself if it is a file, else below it. No picture is ever replaced."""
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
    check_targets(jobs, shared=out)
    return jobs


def check_targets(jobs: Jobs, shared: Path) -> None:
    """Raises a usage error if two pictures have one target that is not to be shared, or a target is a picture."""
    pictures, first = {Path(picture).resolve() for picture in jobs}, dict[Path, Path | str]()
    for picture, target in jobs.items():
        if target.resolve() in pictures:
            raise typer.BadParameter(f"the masks would take the place of the picture {target}; give another --out")
        if (other := first.setdefault(target, picture)) != picture and target != shared:
            raise typer.BadParameter(
                f"{other} and {picture} would both be written to {target}; do them in runs of their own"
            )


def do_all(
    pictures: Iterator[Path | str], jobs: Jobs, make: Make, format: str | None, tally: Tally, tolerance: float
) -> None:
    from masklet.atomic import make_folder

    for picture in pictures:
        try:
            masks = make(picture)
            make_folder(jobs[picture].parent)
            masks.save(jobs[picture], format, tolerance=tolerance)
            tally.written += 1
        except MaskletError as error:
            tally.failures.append(f"{picture}: {error}")


def do_together(pictures: Iterator[Path | str], make: Make, out: Path, names: Sequence[str], tally: Tally) -> None:
    """Do all pictures into one COCO file, a data set. A failure is noted; if all fail there is no file."""
    from masklet.formats.base import Facts
    from masklet.formats.registry import find_format
    from masklet.formats.writer import Writer
    from masklet.image.result import PictureFrame

    before = 0
    facts = Facts(size=(0, 0), frame_count=len(names), names=names, own_sizes=True)
    try:
        with Writer(find_format("coco").open, out, facts) as sink:
            for frame, picture in enumerate(pictures):
                try:
                    best = make(picture).best
                except MaskletError as error:
                    tally.failures.append(f"{picture}: {error}")
                    continue
                sink.write(PictureFrame(best, frame, before=before))
                before += len(best)
                tally.written += 1
            if not tally.written:
                raise MaskletError("no picture could be done")
    except MaskletError as error:
        tally.written = 0
        tally.failures.append(f"{out}: {error}")


def summary(tally: Tally, out: Path) -> str:
    parts = [f"{tally.written} {'picture' if tally.written == 1 else 'pictures'} done: masks in {out}"]
    if tally.skipped:
        parts.append(f"{tally.skipped} passed over, whose masks are there (--overwrite does them again)")
    if tally.failures:
        parts.append(f"{len(tally.failures)} failed")
    return "; ".join(parts)


def with_progress(jobs: Jobs) -> Iterator[Path | str]:
    """The pictures, with a bar if there are several."""
    from rich.console import Console
    from rich.progress import track

    yield from track(list(jobs), "segmenting", console=Console(stderr=True), disable=len(jobs) == 1)
