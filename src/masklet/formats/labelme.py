"""LabelMe: a JSON for each picture, with polygons that can be dragged, and the picture inside."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from masklet.atomic import natural_order
from masklet.errors import FormatError
from masklet.formats.base import (
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
from masklet.formats.description import Description, label_of, read_description
from masklet.formats.json_file import LARGEST_COUNT, entries, entry, load_json, size_of
from masklet.formats.numbered import DAMAGED, frame_files
from masklet.masks.polygons import drawn_by_pillow, drawn_rings, pasted, ring_of
from masklet.masks.rle import Rle, check_size, encode_rle

LABELME_VERSION = "5.0.0"
"""The version of LabelMe whose files these are."""


def write_labelme(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """PATH/00000.json ..., or one file: a shape for each part of each object, the object's number as its `group_id`."""

    def write(target: Path, result: FrameLike) -> None:
        content = labelme_content(result, facts.picture_name(result.frame))
        target.write_text(json.dumps(content, allow_nan=False), encoding="ascii")

    return frame_files(path, facts, ".json", write)


def labelme_content(result: FrameLike, file_name: str) -> dict[str, Any]:
    """The content of a frame's file; `file_name` is that of its picture."""
    height, width = result.size
    png = BytesIO()
    Image.fromarray(picture_of(result)).save(png, format="PNG")
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
    return {
        "version": LABELME_VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": file_name,
        "imageData": base64.b64encode(png.getvalue()).decode("ascii"),
        "imageHeight": height,
        "imageWidth": width,
    }


def read_labelme(path: Path) -> Iterator[PlainFrame]:
    """Polygons, boxes, circles and masks of each file, in the order of their names, numbered by these where all are
    numbers. Shapes of one `group_id` are one object, those without one each, in every file. Raises FormatError for what
    is damaged."""
    if not os.path.exists(path):
        raise FormatError(f"there is nothing at {path}; give a JSON file of LabelMe, or a folder of them")
    files = sorted(path.glob("*.json"), key=natural_order) if path.is_dir() else [path]
    numbered = all(file.stem.isascii() and file.stem.isdecimal() and len(file.stem) < 10 for file in files)
    places = {int(file.stem) if numbered else place: file for place, file in enumerate(files)}
    names = count(1)
    for frame in sorted(places):
        file = places[frame]
        content = load_json(file)
        size = size_of({side: content.get(f"image{side.capitalize()}") for side in ("height", "width")}, file.name)
        yield _frame_of(frame, entries(content, "shapes", dict, file.name), size, file.name, names)


def _frame_of(
    frame: int, shapes: list[dict[str, Any]], size: tuple[int, int], name: str, names: Iterator[int]
) -> PlainFrame:
    """Shapes without a group take the next names, and the lowest free numbers in index maps."""
    check_size(size)
    groups = {shape["group_id"] for shape in shapes if type(shape.get("group_id")) is int}
    free = (number for number in count(1) if number not in groups)
    masks: dict[ObjectId, NDArray[np.bool_]] = {}
    numbers: dict[ObjectId, int] = {}
    descriptions: dict[ObjectId, Description] = {}
    for shape in shapes:
        mask = _filled(shape, size, name)
        if mask is None:
            continue
        group = shape.get("group_id")
        own = group if type(group) is int and abs(group) < LARGEST_COUNT else None
        known = next(one for one in names if one not in groups) if own is None else own
        numbers[known] = next(free) if own is None else own
        masks[known] = masks[known] | mask if known in masks else mask
        label = entry(shape, "label", str, name)
        if label and label != "object":
            descriptions[known] = read_description({"category": label}, name)
    rles: dict[ObjectId, Rle] = {known: encode_rle(mask) for known, mask in masks.items()}
    indices = object_numbers(numbers.values())
    return read_frame(frame, rles, size, {known: indices[number] for known, number in numbers.items()}, descriptions)


def _filled(shape: dict[str, Any], size: tuple[int, int], name: str) -> NDArray[np.bool_] | None:
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
    if kind == "mask":
        return _pasted(shape, ring, size, name)
    picture = Image.new("1", size[::-1])
    (x0, y0), (x1, y1) = ring.tolist()
    if kind == "rectangle":
        box = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
        ImageDraw.Draw(picture).rectangle(box, outline=1, fill=1)
    else:
        radius = float(np.hypot(x1 - x0, y1 - y0))
        ImageDraw.Draw(picture).ellipse([x0 - radius, y0 - radius, x0 + radius, y0 + radius], outline=1, fill=1)
    return np.array(picture)


def _pasted(shape: dict[str, Any], corners: NDArray[np.float64], size: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """A shape of the kind "mask": a PNG of its box."""
    try:
        with Image.open(BytesIO(base64.b64decode(entry(shape, "mask", str, name), validate=True))) as png:
            part = np.array(png.convert("L")) > 0
    except DAMAGED as error:
        raise FormatError(f"a mask in {name} cannot be read as a PNG: {error}; give another copy") from error
    x, y = corners[0].round().astype(int).tolist()
    return pasted(part, (x, y), size, f"a mask in {name}")


def _said(description: Description) -> dict[str, Any]:
    """Truths as flags; as text an object's title, and its other attributes, a line each."""
    flags = {key: value for key, value in description.attributes.items() if isinstance(value, bool)}
    others = [f"{key}: {value}" for key, value in description.attributes.items() if key not in flags]
    return {"flags": flags, "description": "\n".join([description.title, *others] if description.title else others)}


LABELME = Format(
    "labelme",
    "LabelMe JSON: polygons that can be dragged, and the picture",
    write_labelme,
    read_labelme,
    video="",
    picture=".json",
    shows_pictures=True,
)
