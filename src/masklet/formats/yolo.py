"""YOLO labels for segmentation: a text for each picture, a line for each connected part of each object."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from masklet.atomic import write_whole
from masklet.formats.base import Facts, Format, FrameLike, Sink
from masklet.formats.description import label_of
from masklet.formats.numbered import frame_files
from masklet.masks.polygons import drawn_rings

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


YOLO = Format(
    "yolo",
    "YOLO labels for segmentation: a text per picture, a polygon for each part of each object",
    write_yolo,
    video="",
    picture=".txt",
)
