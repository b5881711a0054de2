"""LabelMe: a JSON for each picture, with polygons that can be dragged, and the picture inside."""

from __future__ import annotations

import base64
import json
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from masklet.formats.base import Facts, Format, FrameLike, Sink, picture_of
from masklet.formats.description import Description, label_of
from masklet.formats.numbered import frame_files
from masklet.masks.polygons import drawn_rings

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
            "flags": flags_of(result.descriptions.get(name)),
            "description": text_of(result.descriptions.get(name)),
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


def flags_of(said: Description | None) -> dict[str, bool]:
    """Attributes that are true or false."""
    return {key: value for key, value in (said.attributes if said else {}).items() if isinstance(value, bool)}


def text_of(said: Description | None) -> str:
    """An object's title, and its other attributes, a line each."""
    if said is None:
        return ""
    others = [f"{key}: {value}" for key, value in said.attributes.items() if not isinstance(value, bool)]
    return "\n".join([said.title, *others] if said.title else others)


LABELME = Format(
    "labelme",
    "LabelMe JSON: polygons that can be dragged, and the picture",
    write_labelme,
    video="",
    picture=".json",
    shows_pictures=True,
)
