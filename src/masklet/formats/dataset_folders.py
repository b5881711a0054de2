"""Data sets of pictures that are only read: Pascal VOC and Supervisely. `masklet dataset build` writes VOC.

Sources: the development kit of Pascal VOC 2012; Supervisely's description of its annotations in JSON.
"""

import base64
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import natural_order
from masklet.errors import FormatError
from masklet.formats.base import MOST_NUMBER, Facts, Format, PlainFrame, Sink, read_picture
from masklet.formats.davis import read_index_png
from masklet.formats.json_file import entries, entry, load_json, size_of
from masklet.formats.numbered import DAMAGED
from masklet.masks.polygons import box_ring, drawn_by_opencv, pasted, ring_of
from masklet.masks.rle import check_size, encode_rle

BACKGROUND, UNKNOWN = 0, 255
"""Values of VOC's masks that are no object."""

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The classes of VOC 2012 by their numbers, where no labelmap.txt gives others."""

LONGEST_MASK = 1 << 28
"""Bytes that a packed mask may have when it is unpacked."""


def read_voc(path: Path) -> Iterator[PlainFrame]:
    """The masks of SegmentationObject, in the order of names, each with the class that SegmentationClass has there."""
    classes, names = _voc_classes(path), count(1)
    for frame, file in enumerate(_voc_files(path)):
        numbers = read_index_png(file)
        kinds = read_index_png(path / "SegmentationClass" / file.name)
        if kinds.shape != numbers.shape:
            raise FormatError(f"{file.name} has {numbers.shape} objects and {kinds.shape} classes; give another copy")
        found = []
        for number in (int(n) for n in np.unique(numbers) if BACKGROUND < n <= MOST_NUMBER):
            inside = numbers == number
            kind = int(np.bincount(kinds[inside & (kinds != UNKNOWN)], minlength=1).argmax())
            found.append((encode_rle(inside), classes[kind] if BACKGROUND < kind < len(classes) else ""))
        yield read_picture(frame, found, numbers.shape, names, file.name)


def _voc_files(path: Path) -> list[Path]:
    files = sorted((path / "SegmentationObject").glob("*.png"), key=natural_order) if path.is_dir() else []
    if not files:
        raise FormatError(f"{path} holds no SegmentationObject/*.png; give the root of a data set of Pascal VOC")
    return files


def _voc_names(path: Path) -> list[str]:
    pictures = {file.stem: file.name for file in (path / "JPEGImages").glob("*")}
    return [pictures.get(file.stem, f"{file.stem}.jpg") for file in _voc_files(path)]


def _voc_classes(path: Path) -> tuple[str, ...]:
    try:
        lines = (path / "labelmap.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return VOC_CLASSES
    return tuple(line.split(":")[0] for line in lines if line.strip() and not line.startswith("#"))


def read_supervisely(path: Path) -> Iterator[PlainFrame]:
    """Bitmaps, polygons and boxes of DATASET/ann/*.json, in the order of names; each is an object of its own."""
    names = count(1)
    for frame, file in enumerate(_supervisely_files(path)):
        content = load_json(file)
        size = size_of(entry(content, "size", dict, file.name), file.name)
        check_size(size)
        found = [
            (encode_rle(mask), entry(listed, "classTitle", str, file.name))
            for listed in entries(content, "objects", dict, file.name)
            if (mask := _shape(listed, size, file.name)) is not None
        ]
        yield read_picture(frame, found, size, names, file.name)


def _supervisely_files(path: Path) -> list[Path]:
    kinds = ("ann/*.json", "*/ann/*.json") if path.is_dir() else ()
    found = [file for kind in kinds for file in sorted(path.glob(kind), key=lambda f: (f.parent, natural_order(f)))]
    if not found:
        raise FormatError(f"{path} holds no ann/*.json; give a project of Supervisely, or one of its data sets")
    return found


def _supervisely_names(path: Path) -> list[str]:
    files = [(file.parent.parent, file.name.removesuffix(".json")) for file in _supervisely_files(path)]
    return [name if folder == path else f"{folder.name}/img/{name}" for folder, name in files]


def _shape(found: dict[str, Any], size: tuple[int, int], name: str) -> NDArray[np.bool_] | None:
    """bool (H, W); None for points, lines and what else has no area."""
    kind, what = entry(found, "geometryType", str, name), f"a shape in {name}"
    if kind == "bitmap":
        return _bitmap(entry(found, "bitmap", dict, name), size, name)
    if kind not in ("polygon", "rectangle"):
        return None
    points = entry(found, "points", dict, name)
    outer = ring_of(entry(points, "exterior", list, name), size, what, least=2)
    if kind == "rectangle":
        outer = box_ring(*outer[0], *outer[-1])
    mask = drawn_by_opencv(outer, size)
    for hole in entries(points, "interior", list, name) if "interior" in points else []:
        mask &= ~drawn_by_opencv(ring_of(hole, size, what, least=2), size)
    return mask


def _bitmap(record: dict[str, Any], size: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """A packed PNG that lies somewhere in the picture: its last channel, or its values, over 0."""
    what = f"a bitmap in {name}"
    try:
        packed = zlib.decompressobj()
        content = packed.decompress(base64.b64decode(entry(record, "data", str, name), validate=True), LONGEST_MASK)
        with Image.open(BytesIO(content)) as png:
            values = np.atleast_3d(np.array(png.convert("RGBA") if png.mode == "P" else png))
    except (*DAMAGED, zlib.error) as error:
        raise FormatError(f"{what} cannot be read: {error}; give another copy") from error
    ((x, y),) = ring_of([entry(record, "origin", list, name)], size, what, least=1).astype(int).tolist()
    return pasted(values[..., -1] > 0, (x, y), size, what)


def _not_written(path: Path, _: Facts) -> AbstractContextManager[Sink]:
    raise FormatError(f"{path.name} would be a data set of pictures; masklet dataset build writes coco, yolo and voc")


VOC, SUPERVISELY = (
    Format(name, f"{title}: a data set of pictures; only read", _not_written, read, names=names, only_read="")
    for name, title, read, names in (
        ("voc", "Pascal VOC", read_voc, _voc_names),
        ("supervisely", "Supervisely", read_supervisely, _supervisely_names),
    )
)
