"""A file of labels for each picture, as annotation tools have them. LabelMe: a JSON with polygons that can be dragged,
and the picture inside. YOLO for segmentation: a text with a line for each connected part of each object. Pascal VOC and
Supervisely are only read; `masklet dataset build` writes VOC.

Sources: Ultralytics' description of its data sets: coordinates are shares of the picture's size, and the picture of
labels/NAME.txt is images/NAME; the development kit of Pascal VOC 2012; Supervisely's description of its annotations.
"""

import base64
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw

from masklet.atomic import natural_order, write_whole
from masklet.errors import FormatError
from masklet.formats.base import (
    MAX_INDEX,
    Facts,
    Format,
    FrameLike,
    ObjectId,
    PlainFrame,
    Sink,
    object_numbers,
    picture_of,
    read_frame,
)
from masklet.formats.davis import UNKNOWN, read_index_png, undamaged
from masklet.formats.description import Description, label_of, read_description
from masklet.formats.json_file import MAX_COUNT, entries, entry, load_json, read_lines, record_size
from masklet.formats.writer import frame_files
from masklet.masks.polygons import box_ring, drawn_by_opencv, drawn_by_pillow, drawn_rings, pasted, ring_of
from masklet.masks.rle import Rle, check_mask_size, encode_rle, rle_union

CLASSES = "classes.txt"
"""The names of YOLO's classes, a line each, beside the labels of a video."""

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The classes of VOC 2012 by their numbers, where no labelmap.txt gives others."""

MAX_MASK = 1 << 28
"""Bytes that a packed mask may have when it is unpacked."""

Things = Iterable[tuple[NDArray[np.bool_], str]]
"""The mask of each thing, bool (H, W), and its class, empty if nothing says."""


def _frames(files: list[Path], read: Callable[[Path], tuple[tuple[int, int], Things]]) -> Iterator[PlainFrame]:
    """Pictures of a data set, of which `read` gives (height, width) and the things. These are objects of no other
    picture: they take the next names, and count from 1 in their picture."""
    names = count(1)
    for frame, file in enumerate(files):
        size, things = read(file)
        masks: dict[ObjectId, Rle] = {}
        descriptions: dict[ObjectId, Description] = {}
        for (mask, category), name in zip(things, names, strict=False):
            masks[name] = encode_rle(mask)
            descriptions[name] = read_description({"category": category}, file.name)
        yield read_frame(frame, masks, size, {name: place for place, name in enumerate(masks, start=1)}, descriptions)


def _in_order(files: Iterable[Path], none: str) -> list[Path]:
    """Files by folder and in the natural order of their names. Raises FormatError, which says `none`, without any."""
    found = sorted(files, key=lambda file: (len(file.parts), file.parent, natural_order(file)))
    if not found:
        raise FormatError(none)
    return found


def write_labelme(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """PATH/00000.json ..., or one file: a shape for each part of each object, the object's number as its `group_id`."""

    def write(target: Path, result: FrameLike) -> None:
        png = BytesIO()
        Image.fromarray(picture_of(result)).save(png, format="PNG")
        height, width = result.size
        shapes = [
            {
                "label": label_of(name, result.descriptions.get(name)),
                "points": ring.tolist(),
                "group_id": result.indices[name],
                "shape_type": "polygon",
                **_said(result.descriptions.get(name) or Description()),
            }
            for name, item in result.objects.items()
            for ring in drawn_rings(item.mask)
        ]
        content = {
            "version": "5.0.0",  # of the LabelMe whose files these are
            "flags": {},
            "shapes": shapes,
            "imagePath": facts.picture_name(result.frame),
            "imageData": base64.b64encode(png.getvalue()).decode("ascii"),
            "imageHeight": height,
            "imageWidth": width,
        }
        target.write_text(json.dumps(content, allow_nan=False), encoding="ascii")

    return frame_files(path, facts, ".json", write)


def _said(description: Description) -> dict[str, Any]:
    """Truths as flags; as text an object's title, and its other attributes, a line each."""
    flags = {key: value for key, value in description.attributes.items() if isinstance(value, bool)}
    others = [f"{key}: {value}" for key, value in description.attributes.items() if key not in flags]
    return {"flags": flags, "description": "\n".join([description.title, *others] if description.title else others)}


def read_labelme(path: Path) -> Iterator[PlainFrame]:
    """Polygons, boxes, circles and masks of each file, in the order of their names, numbered by these where all are
    numbers. Shapes of one `group_id` are one object, those without one each, in every file. Raises FormatError for what
    is damaged."""
    names, taken, of_groups = count(1), set[int](), dict[int, int]()

    def name_of(group: int | None) -> int:
        """A group's own number; the next name for a shape without one, and for a group whose number is such a name."""
        if group is None or group not in of_groups:
            name = next(n for n in names if n not in taken) if group is None or group in taken else group
            taken.add(name)
            if group is None:
                return name
            of_groups[group] = name
        return of_groups[group]

    for frame, file in labelme_files(path).items():
        content = load_json(file)
        size = record_size({side: content.get(f"image{side.capitalize()}") for side in ("height", "width")}, file.name)
        yield _labelme_frame(frame, entries(content, "shapes", dict, file.name), size, file.name, name_of)


def labelme_files(path: Path) -> dict[int, Path]:
    """The files of a folder by frame, in the order of frames; or the only one. Raises FormatError if there is none."""
    if not os.path.exists(path):
        raise FormatError(f"there is nothing at {path}; give a JSON file of LabelMe, or a folder of them")
    files = sorted(path.glob("*.json"), key=natural_order) if path.is_dir() else [path]
    numbered = all(file.stem.isascii() and file.stem.isdecimal() and len(file.stem) < 10 for file in files)
    return dict(sorted((int(file.stem) if numbered else place, file) for place, file in enumerate(files)))


def _labelme_frame(
    frame: int, shapes: list[dict[str, Any]], size: tuple[int, int], file: str, name_of: Callable[[int | None], int]
) -> PlainFrame:
    """Shapes without a group have the lowest free numbers in index maps."""
    listed = (shape.get("group_id") for shape in shapes)
    groups = [group if type(group) is int and abs(group) < MAX_COUNT else None for group in listed]
    own = {group: name_of(group) for group in groups if group is not None}  # before shapes without one take names
    free = (number for number in count(1) if number not in own)
    masks: dict[ObjectId, Rle] = {}
    numbers: dict[ObjectId, int] = {}
    descriptions: dict[ObjectId, Description] = {}
    for shape, group in zip(shapes, groups, strict=True):
        if (mask := _labelme_mask(shape, size, file)) is None:
            continue
        name, number = (name_of(None), next(free)) if group is None else (own[group], group)
        masks[name], numbers[name] = rle_union(masks.get(name), encode_rle(mask)), number
        label = entry(shape, "label", str, file)
        if label and label != "object":
            descriptions[name] = read_description({"category": label}, file)
    indices = object_numbers(numbers.values())
    return read_frame(frame, masks, size, {name: indices[number] for name, number in numbers.items()}, descriptions)


def _labelme_mask(shape: dict[str, Any], size: tuple[int, int], name: str) -> NDArray[np.bool_] | None:
    """bool (H, W) as LabelMe fills a shape; None for points and lines."""
    kind = shape.get("shape_type", "polygon") or "polygon"
    if kind not in ("polygon", "rectangle", "circle", "mask"):
        return None
    what = f"a {kind} in {name}"
    ring = ring_of(entry(shape, "points", list, name), size, what, least=3 if kind == "polygon" else 2)
    if kind == "polygon":
        return drawn_by_pillow(ring, size)
    if len(ring) > 2:
        raise FormatError(f"{what} has {len(ring)} corners; expected 2")
    (x0, y0), (x1, y1) = ring.tolist()
    if kind == "mask":  # a PNG of its box
        with undamaged(f"{what} cannot be read as a PNG"):
            content = base64.b64decode(entry(shape, "mask", str, name), validate=True)
            with Image.open(BytesIO(content)) as png:
                part = np.array(png.convert("L")) > 0
        return pasted(part, (round(x0), round(y0)), size, what)
    picture = Image.new("1", size[::-1])
    if kind == "rectangle":
        box = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
        ImageDraw.Draw(picture).rectangle(box, outline=1, fill=1)
    else:
        radius = float(np.hypot(x1 - x0, y1 - y0))
        ImageDraw.Draw(picture).ellipse([x0 - radius, y0 - radius, x0 + radius, y0 + radius], outline=1, fill=1)
    return np.array(picture)


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
    files = _yolo_files(path)
    classes, pictures = _class_names(files[0]), _yolo_pictures(files)

    def read(file: Path) -> tuple[tuple[int, int], Things]:
        picture = pictures[file]
        with undamaged(f"{picture.name}, the picture of {file.name}, cannot be read"), Image.open(picture) as opened:
            turned = opened.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # its sides change places
            size = opened.size if turned else opened.size[::-1]
        check_mask_size(size)
        found = (_yolo_ring(line, size, place) for line, place in read_lines(file, "text of YOLO labels"))
        return size, ((drawn_by_opencv(ring, size), classes.get(kind, str(kind))) for kind, ring in found)

    yield from _frames(files, read)


def _yolo_files(path: Path) -> list[Path]:
    files = path.glob("*.txt") if path.is_dir() else [path]
    none = f"{path} holds no labels such as 00000.txt; give a folder of them, such as labels/train"
    return _in_order((file for file in files if file.name != CLASSES), none)


def _yolo_pictures(files: list[Path]) -> dict[Path, Path]:
    """The pictures of texts of labels, which lie in one folder. Raises FormatError if one has none."""
    parts = list(files[0].parent.parts)
    if "labels" in parts:
        parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
    there = sorted(chain(Path(*parts).glob("*"), files[0].parent.glob("*")), reverse=True)
    pictures = {found.stem: found for found in there if found.suffix.lower() in Image.registered_extensions()}
    if lone := [file for file in files if file.stem not in pictures]:
        raise FormatError(
            f"{lone[0].name} has no picture, whose size its shares are of; put {lone[0].stem}.jpg beside it, or into "
            "images/ beside labels/"
        )
    return {file: pictures[file.stem] for file in files}


def _class_names(file: Path) -> dict[int, str]:
    for folder in list(file.parents)[:3]:
        try:
            if (folder / "data.yaml").is_file():
                listed: Any = yaml.safe_load((folder / "data.yaml").read_text("utf-8-sig"))["names"]
                named = dict(listed.items() if isinstance(listed, dict) else enumerate(listed))
                if not all(isinstance(name, str | int | float) for name in named.values()):
                    raise TypeError(f"{named!r:.100} are no names")
                return {int(number): str(name) for number, name in named.items()}
            if (folder / CLASSES).is_file():
                return dict(enumerate((folder / CLASSES).read_text("utf-8-sig").splitlines()))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError, ValueError) as error:
            raise FormatError(f"the names of classes in {folder} cannot be read: {error!r:.200}") from error
    return {}


def _yolo_ring(line: str, size: tuple[int, int], place: str) -> tuple[int, NDArray[np.float64]]:
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


def read_voc(path: Path) -> Iterator[PlainFrame]:
    """The masks of SegmentationObject, in the order of names, each with the class that SegmentationClass has there."""
    try:
        lines = (path / "labelmap.txt").read_text("utf-8-sig").splitlines()
        classes = [line.split(":")[0] for line in lines if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError):
        classes = list(VOC_CLASSES)

    def read(file: Path) -> tuple[tuple[int, int], Things]:
        numbers, kinds = read_index_png(file), read_index_png(path / "SegmentationClass" / file.name)
        if kinds.shape != numbers.shape:
            raise FormatError(f"{file.name} has {numbers.shape} objects and {kinds.shape} classes; give another copy")
        things = []
        for inside in (numbers == number for number in np.unique(numbers) if 0 < number <= MAX_INDEX):
            kind = int(np.bincount(kinds[inside & (kinds != UNKNOWN)], minlength=1).argmax())
            things.append((inside, classes[kind] if 0 < kind < len(classes) else ""))
        return numbers.shape, things

    yield from _frames(_voc_files(path), read)


def _voc_files(path: Path) -> list[Path]:
    none = f"{path} holds no SegmentationObject/*.png; give the root of a data set of Pascal VOC"
    return _in_order((path / "SegmentationObject").glob("*.png"), none)


def _voc_names(path: Path) -> list[str]:
    pictures = {file.stem: file.name for file in (path / "JPEGImages").glob("*")}
    return [pictures.get(file.stem, f"{file.stem}.jpg") for file in _voc_files(path)]


def read_supervisely(path: Path) -> Iterator[PlainFrame]:
    """Bitmaps, polygons and boxes of DATASET/ann/*.json, in the order of names; each is an object of its own."""

    def read(file: Path) -> tuple[tuple[int, int], Things]:
        content = load_json(file)
        size = record_size(entry(content, "size", dict, file.name), file.name)
        masks = ((one, _supervisely_mask(one, size, file.name)) for one in entries(content, "objects", dict, file.name))
        return size, ((mask, entry(one, "classTitle", str, file.name)) for one, mask in masks if mask is not None)

    yield from _frames(_supervisely_files(path), read)


def _supervisely_files(path: Path) -> list[Path]:
    none = f"{path} holds no ann/*.json; give a project of Supervisely, or one of its data sets"
    return _in_order(chain(path.glob("ann/*.json"), path.glob("*/ann/*.json")), none)


def _supervisely_names(path: Path) -> list[str]:
    files = [(file.parent.parent, file.name.removesuffix(".json")) for file in _supervisely_files(path)]
    return [name if folder == path else f"{folder.name}/img/{name}" for folder, name in files]


def _supervisely_mask(found: dict[str, Any], size: tuple[int, int], name: str) -> NDArray[np.bool_] | None:
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
    for hole in entries(points, "interior", list, name, []):
        mask &= ~drawn_by_opencv(ring_of(hole, size, what, least=2), size)
    return mask


def _bitmap(record: dict[str, Any], size: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """A packed PNG that lies somewhere in the picture: its last channel, or its values, over 0."""
    what = f"a bitmap in {name}"
    with undamaged(f"{what} cannot be read"):
        packed = base64.b64decode(entry(record, "data", str, name), validate=True)
        with Image.open(BytesIO(zlib.decompressobj().decompress(packed, MAX_MASK))) as png:
            values = np.atleast_3d(np.array(png.convert("RGBA") if png.mode == "P" else png))
    ((x, y),) = ring_of([entry(record, "origin", list, name)], size, what, least=1).astype(int).tolist()
    return pasted(values[..., -1] > 0, (x, y), size, what)


def _not_written(path: Path, _: Facts) -> AbstractContextManager[Sink]:
    raise FormatError(f"{path.name} would be a data set of pictures; masklet dataset build writes coco, yolo and voc")


LABELME = Format(
    "labelme",
    "LabelMe JSON: polygons that can be dragged, and the picture",
    write_labelme,
    read_labelme,
    video="",
    picture=".json",
    shows_pictures=True,
)
YOLO = Format(
    "yolo",
    "YOLO labels for segmentation: a text per picture, a polygon for each part of each object",
    write_yolo,
    read_yolo,
    video="",
    picture=".txt",
    names=lambda path: [picture.name for picture in _yolo_pictures(_yolo_files(path)).values()],
)
VOC, SUPERVISELY = (
    Format(name, f"{title}: a data set of pictures; only read", _not_written, read, names=names, only_read="")
    for name, title, read, names in (
        ("voc", "Pascal VOC", read_voc, _voc_names),
        ("supervisely", "Supervisely", read_supervisely, _supervisely_names),
    )
)
