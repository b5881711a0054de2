"""Masks of one picture in a file, by a table of formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from masklet.errors import FormatError, nearest
from masklet.formats.atomic import replacing
from masklet.image.outlines import labelme_content, yolo_lines
from masklet.masks.cutout import cut_out
from masklet.masks.guided import Edges, mask_alpha
from masklet.masks.palette import PALETTE

if TYPE_CHECKING:
    from masklet.image.result import Masks


@dataclass(frozen=True)
class ImageFormat:
    """One entry of the table.

    suffix  of its files
    help    one line
    write   writes one mask of each object to a path
    """

    suffix: str
    help: str
    write: Callable[[Masks, Path], None]


def save_masks(masks: Masks, path: Path, format: str | None) -> None:
    """Write one mask of each object; see `Masks.save`. Raises FormatError."""
    entry = FORMATS[format_of(path)] if format is None else find_format(format)
    with replacing(path) as temporary:
        entry.write(masks, temporary)


def find_format(name: str) -> ImageFormat:
    """The format of that name. Raises FormatError, with the nearest name, if there is none."""
    if name not in FORMATS:
        raise FormatError(f"unknown format {name!r}{nearest(name, FORMATS)}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of(path: Path) -> str:
    """The first format with the path's ending. Raises FormatError if none has it."""
    for name, entry in FORMATS.items():
        if entry.suffix == path.suffix.lower():
            return name
    known = " and ".join(dict.fromkeys(entry.suffix for entry in FORMATS.values()))
    raise FormatError(f"{path.name} does not tell its format; give an ending that does, {known}, or name a format")


def write_index(masks: Masks, path: Path) -> None:
    numbers = masks.index_map()
    if numbers.dtype != np.uint8:
        raise FormatError(f"{len(masks)} objects do not fit an index PNG, which holds 255; save them as coco")
    picture = Image.fromarray(numbers)
    picture.putpalette(PALETTE.tobytes())
    picture.save(path, format="PNG")


def write_cutout(edges: Edges, masks: Masks, path: Path) -> None:
    alpha = mask_alpha(masks.image, masks.index_map() > 0, edges)
    Image.fromarray(cut_out(masks.image, alpha)).save(path, format="PNG")


def write_overlay(masks: Masks, path: Path) -> None:
    masks.overlay().save(path, format="PNG")


def write_coco(masks: Masks, path: Path) -> None:
    path.write_text(json.dumps(masks.to_coco(), allow_nan=False), encoding="ascii")


def write_labelme(masks: Masks, path: Path) -> None:
    path.write_text(json.dumps(labelme_content(masks), allow_nan=False), encoding="ascii")


def write_yolo(masks: Masks, path: Path) -> None:
    path.write_text(yolo_lines(masks), encoding="ascii")


FORMATS = {
    "index": ImageFormat(".png", "a PNG whose pixel values are the objects' numbers, from 1", write_index),
    "cutout": ImageFormat(".png", "a PNG of the objects, transparent around them", partial(write_cutout, "hard")),
    "soft-cutout": ImageFormat(".png", "the same with edges that follow hair and fur", partial(write_cutout, "soft")),
    "overlay": ImageFormat(".png", "a PNG of the picture with the masks drawn in", write_overlay),
    "coco": ImageFormat(".json", "COCO JSON: run lengths, boxes, areas, scores", write_coco),
    "labelme": ImageFormat(".json", "LabelMe JSON: polygons that can be dragged, and the picture", write_labelme),
    "yolo": ImageFormat(".txt", "YOLO labels for segmentation: a polygon of class 0 for each object", write_yolo),
}
"""Formats by name; of those with one ending, the first is the one that the ending tells."""
