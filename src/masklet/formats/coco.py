"""COCO: one JSON with run lengths, each annotation with the `track_id` of its object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from masklet.errors import FormatError
from masklet.formats.atomic import replacing
from masklet.formats.base import Facts, FrameMasks, ObjectId
from masklet.formats.json_file import entries, entry, load_json, size_of
from masklet.formats.registry import Sink, reads, writes
from masklet.formats.spool import Spool, spooled
from masklet.masks.rle import decode_rle, rle_area, rle_box, rle_from_json

CATEGORIES = [{"id": 1, "name": "object", "supercategory": "object"}]
"""masklet tells things apart, not kinds of things."""


@writes("coco", suffixes=(".json",), help="COCO JSON: run lengths, boxes, areas, track_id; any number of objects")
@contextmanager
def write_coco(path: Path, facts: Facts) -> Iterator[Sink]:
    """Images and annotations of all frames; an empty mask has no annotation, its image is listed all the same."""
    with spooled(path, facts.size) as spool:
        yield spool.add
        with replacing(path) as temporary, temporary.open("w", encoding="ascii") as file:
            file.write('{"annotations": [')
            for count, annotation in enumerate(_annotations(spool)):
                file.write(",\n" if count else "\n")
                json.dump(annotation | {"id": count + 1}, file, allow_nan=False)
            rest = {
                "images": [_image(frame, facts) for frame in spool.frames()],
                "categories": CATEGORIES,
                "tracks": [{"id": number, "name": name} for name, number in spool.indices.items()],
                "info": {"description": facts.video, "version": "1.0"},
                "licenses": [],
            }
            file.write("],\n" + json.dumps(rest, allow_nan=False)[1:])


def _annotations(spool: Spool) -> Iterator[dict[str, Any]]:
    for frame in spool.frames():
        for name, item in spool.masks(frame).items():
            if area := rle_area(item.rle):
                yield {
                    "image_id": frame + 1,
                    "category_id": 1,
                    "track_id": spool.indices[name],
                    "segmentation": item.rle.to_json(),
                    "bbox": list(rle_box(item.rle)),
                    "area": area,
                    "iscrowd": 0,
                    "score": item.iou,
                    "presence": item.presence,
                }


def _image(frame: int, facts: Facts) -> dict[str, Any]:
    height, width = facts.size
    name = f"{frame:05d}.jpg"
    return {"id": frame + 1, "file_name": name, "height": height, "width": width, "frame_index": frame}


@reads("coco")
def read_coco(path: Path) -> Iterator[FrameMasks]:
    """Masks of each image in the order of frames, by the names in "tracks", else by track_id, else by annotation.

    Images without a `frame_index` are numbered in the order in which they are listed. Masks may be run lengths,
    compressed or not, or polygons.
    """
    content = load_json(path)
    name = path.name
    images = entries(content, "images", dict, name)
    annotations: dict[int, list[dict[str, Any]]] = {}
    for annotation in entries(content, "annotations", dict, name):
        annotations.setdefault(entry(annotation, "image_id", int, name), []).append(annotation)
    names = object_names(content, name)
    frames = [entry({"frame_index": place, **image}, "frame_index", int, name) for place, image in enumerate(images)]
    if unknown := annotations.keys() - {entry(image, "id", int, name) for image in images}:
        raise FormatError(f"{name} has annotations of the image {min(unknown)}, which is not in its list of images")
    for frame, image in sorted(zip(frames, images, strict=True), key=lambda pair: pair[0]):
        size = size_of(image, name)
        found = annotations.get(image["id"], [])
        yield FrameMasks(frame, {
            _object(annotation, names, name): decode_rle(rle_from_json(annotation.get("segmentation"), size))
            for annotation in found
        })  # fmt: skip


def object_names(content: dict[str, Any], name: str) -> dict[int, ObjectId]:
    """The names of tracks by their numbers, as masklet writes them; empty for files of others."""
    names: dict[int, ObjectId] = {}
    if "tracks" in content:
        for track in entries(content, "tracks", dict, name):
            known = track.get("name")
            if isinstance(known, int | str):
                names[entry(track, "id", int, name)] = known
    return names


def _object(annotation: dict[str, Any], names: dict[int, ObjectId], name: str) -> ObjectId:
    number = entry(annotation, "track_id" if "track_id" in annotation else "id", int, name)
    return names.get(number, number)
