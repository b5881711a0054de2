"""MOTS: a text of lines `frame id class height width rle`, as the MOTS and KITTI-MOTS challenges take them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from masklet.atomic import atomic_write
from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, FrameLike, PlainFrame, Sink, check_object_numbers, mask_only, read_frame
from masklet.formats.json_file import read_bytes
from masklet.formats.spool import spooled
from masklet.masks.rle import Rle, rle_area

CLASS = 1
"""The class that is written; the challenges call it "car". An id is 1000 times the class and the object's number."""


@contextmanager
def write_mots(path: Path, facts: Facts) -> Iterator[Sink]:
    """Lines in the order of frames. Where masks overlap, the surer one is kept; empty masks have no line."""
    height, width = facts.size
    with spooled(path) as spool:
        yield lambda result: spool.add(_apart(result))
        with atomic_write(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
            for frame in spool.frames():
                for name, item in spool.masks(frame).items():
                    if rle_area(item.rle):
                        number = 1000 * CLASS + spool.indices[name]
                        file.write(f"{frame} {number} {CLASS} {height} {width} {item.rle.counts}\n")


def _apart(result: FrameLike) -> FrameLike:
    """The frame with masks that do not overlap, as the format demands."""
    check_object_numbers(result, most=999, instead="coco, sav or project")
    numbers = result.index_map()
    objects = {
        name: mask_only(numbers == result.indices[name], item.iou, item.presence)
        for name, item in result.objects.items()
    }
    return PlainFrame(result.frame, result.time, result.size, objects, result.indices, descriptions=result.descriptions)


def read_mots(path: Path) -> Iterator[PlainFrame]:
    """Masks of each frame that has any: ids 1001 to 1999 as 1 to 999, all others as they are; 10000 is passed over."""
    try:
        text = read_bytes(path, "a MOTS text").decode("ascii")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path.name} is no MOTS text: {error}; give another copy") from error
    frames: dict[int, dict[int, Rle]] = {}
    for count, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        frame, number, rle = _parsed(line, f"line {count} of {path.name}")
        if number != 10_000:  # a region to be left out of scores
            frames.setdefault(frame, {})[number - 1000 if 1000 < number < 2000 else number] = rle
    for frame, masks in sorted(frames.items()):
        sizes = {rle.size for rle in masks.values()}
        if len(sizes) > 1:
            raise FormatError(
                f"the masks of frame {frame} in {path.name} are of the sizes {sorted(sizes)}; give one video"
            )
        yield read_frame(frame, dict(masks.items()), next(iter(sizes)), {number: number for number in masks})


def _parsed(line: str, place: str) -> tuple[int, int, Rle]:
    fields = line.split()
    if len(fields) != 6 or not all(field.isdigit() and len(field) < 10 for field in fields[:5]):
        raise FormatError(f"{place} is not `frame id class height width rle`; is the file cut short?")
    frame, number, _, height, width = (int(field) for field in fields[:5])
    return frame, number, Rle((height, width), fields[5])


MOTS = Format("mots", "MOTS text: a line per mask; objects 1 to 999, no overlap", write_mots, read_mots, video=".txt")
