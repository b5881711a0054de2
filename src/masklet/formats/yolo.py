"""YOLO labels for segmentation: a text for each picture, a line for each connected part of each object.

Source: Ultralytics' description of its data sets: coordinates are shares of the picture's size, and the picture of
labels/NAME.txt is images/NAME.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import natural_order, write_whole
from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, FrameLike, PlainFrame, Sink, read_picture
from masklet.formats.description import label_of
from masklet.formats.numbered import DAMAGED, frame_files
from masklet.masks.polygons import box_ring, drawn_by_opencv, drawn_rings, ring_of
from masklet.masks.rle import check_size, encode_rle

ORIENTATION = 274
"""The EXIF tag that says how a picture is turned; from 5 on its sides change places."""

CLASSES = "classes.txt"
"""The names of the classes, a line each, beside the labels of a video."""


@contextmanager
def write_yolo(path: Path, facts: Facts) -> Iterator[Sink]:
    """PATH/00000.txt ..., or one file. Classes are the objects' categories or names, see `label_of`, and count from 0
    in the order in which they come."""
    classes: dict[str, int] = {}

    def write(target: Path, result: FrameLike) -> None:
        target.write_text(yolo_lines(result, classes), encoding="ascii")

    with frame_files(path, facts, ".txt", write) as sink:
        yield sink
    if path.is_dir():
        write_whole(path / CLASSES, "".join(f"{label}\n" for label in classes or ["object"]))


def yolo_lines(result: FrameLike, classes: dict[str, int]) -> str:
    """The class, then x and y of each corner as shares of width and height: first the largest part of each object, in
    their order, then the further parts. New classes are added to `classes`."""
    height, width = result.size
    first: list[str] = []
    further: list[str] = []
    for name, item in result.objects.items():
        number = classes.setdefault(label_of(name, result.descriptions.get(name)), len(classes))
        for part, ring in enumerate(drawn_rings(item.mask)):
            shares = (ring / (width, height)).reshape(-1)
            line = " ".join([str(number), *(f"{share:.9g}" for share in shares)]) + "\n"
            (further if part else first).append(line)
    return "".join([*first, *further])


def read_yolo(path: Path) -> Iterator[PlainFrame]:
    """Polygons, and boxes of four numbers, of a text or of a folder of them, in the order of names; each line is an
    object of its own. Pictures, which tell the size, lie beside the labels or in images/ where these are in labels/.
    Names of classes are those of data.yaml or classes.txt, above or beside. Raises FormatError for what is damaged."""
    files = _label_files(path)
    classes, names = _class_names(files[0]), count(1)
    for frame, (file, picture) in enumerate(_pictures(files)):
        size = _size_of(picture, file)
        lines = ((n, line) for n, line in enumerate(_lines(file), start=1) if line.strip())
        parsed = (_parsed(line, size, f"line {n} of {file.name}") for n, line in lines)
        found = ((encode_rle(drawn_by_opencv(ring, size)), classes.get(kind, str(kind))) for kind, ring in parsed)
        yield read_picture(frame, found, size, names, file.name)


def _pictures(files: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Texts of labels, which lie in one folder, with the picture that each is of. Raises FormatError if there is
    none."""
    parts = list(files[0].parent.parts)
    if "labels" in parts:
        parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
    there = sorted(chain(Path(*parts).glob("*"), files[0].parent.glob("*")), reverse=True)
    pictures = {found.stem: found for found in there if found.suffix != ".txt"}
    for file in files:
        if file.stem not in pictures:
            raise FormatError(
                f"{file.name} has no picture, whose size its shares are of; put {file.stem}.jpg beside it, or into "
                "images/ beside labels/"
            )
        yield file, pictures[file.stem]


def _label_files(path: Path) -> list[Path]:
    files = sorted(path.glob("*.txt"), key=natural_order) if path.is_dir() else [path]
    files = [file for file in files if file.name != CLASSES]
    if not files:
        raise FormatError(f"{path} holds no labels such as 00000.txt; give a folder of them, such as labels/train")
    return files


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{file} is no text of YOLO labels: {error}; give another copy") from error


def _class_names(file: Path) -> dict[int, str]:
    for folder in list(file.parents)[:3]:
        try:
            if (folder / "data.yaml").is_file():
                listed: Any = yaml.safe_load((folder / "data.yaml").read_text("utf-8"))["names"]
                named = listed.items() if isinstance(listed, dict) else enumerate(listed)
                return {int(number): _class_name(name) for number, name in named}
            if (folder / CLASSES).is_file():
                return dict(enumerate((folder / CLASSES).read_text("utf-8").splitlines()))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError, ValueError) as error:
            raise FormatError(f"the names of classes in {folder} cannot be read: {error!r:.200}") from error
    return {}


def _class_name(name: object) -> str:
    if not isinstance(name, str | int | float):
        raise TypeError(f"a name of type {type(name).__name__}")
    return str(name)


def _size_of(picture: Path, file: Path) -> tuple[int, int]:
    """(height, width), as it is shown."""
    try:
        with Image.open(picture) as opened:
            turned = opened.getexif().get(ORIENTATION, 1) >= 5
            size = opened.size if turned else opened.size[::-1]
    except DAMAGED as error:
        raise FormatError(f"{picture.name}, the picture of {file.name}, cannot be read: {error}") from error
    check_size(size)
    return size


def _parsed(line: str, size: tuple[int, int], place: str) -> tuple[int, NDArray[np.float64]]:
    """The class, and the corners in pixels."""
    kind, *rest = line.split()
    try:
        shares = np.array(rest, np.float64)
    except ValueError:
        shares = np.array([])
    if not kind.isdecimal() or len(kind) > 9 or len(shares) < 4 or len(shares) % 2 or not np.isfinite(shares).all():
        raise FormatError(f"{place} is not a class and pairs of numbers; is the file cut short?")
    if len(shares) == 4:
        x, y, width, height = shares.tolist()
        shares = box_ring(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return int(kind), ring_of(shares.reshape(-1, 2) * (size[1], size[0]), size, place, least=1)


YOLO = Format(
    "yolo",
    "YOLO labels for segmentation: a text per picture, a polygon for each part of each object",
    write_yolo,
    read_yolo,
    video="",
    picture=".txt",
    names=lambda path: [picture.name for _, picture in _pictures(_label_files(path))],
)
