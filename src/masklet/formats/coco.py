"""COCO: one JSON with run lengths, each annotation with the `track_id` of its object."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from masklet.atomic import atomic_write
from masklet.errors import FormatError, SessionError
from masklet.formats.base import (
    Facts,
    Format,
    ObjectId,
    ObjectLike,
    PlainFrame,
    RleMask,
    Sink,
    read_frame,
    rle_of,
)
from masklet.formats.description import Description, label_of
from masklet.formats.json_file import entries, entry, load_json, size_of
from masklet.formats.spool import Spool, spooled
from masklet.masks.rle import Rle, rle_area, rle_box, rle_from_json

WIDEST_GAP = 1000
"""Frames of a video from one listed picture to the next, at most, for their names to be kept."""


@contextmanager
def write_coco(path: Path, facts: Facts) -> Iterator[Sink]:
    """Images and annotations of all frames; an empty mask has no annotation, its image is listed all the same."""
    with spooled(path) as spool:
        yield spool.add
        with atomic_write(path) as temporary, temporary.open("w", encoding="ascii") as file:
            file.write('{"annotations": [')
            for count, found in enumerate(_annotations(spool)):
                file.write(",\n" if count else "\n")
                json.dump(found | {"id": count + 1}, file, allow_nan=False)
            rest = {
                "images": [image(frame, facts.picture_name(frame), spool.sizes[frame]) for frame in spool.frames()],
                "categories": categories(spool.classes),
                "tracks": [
                    {"id": number, "name": name, **(spool.descriptions.get(name) or Description()).to_json()}
                    for name, number in spool.indices.items()
                ],
                "info": {"description": facts.video, "version": "1.0"},
                "licenses": [],
            }
            file.write("],\n" + json.dumps(rest, allow_nan=False)[1:])


def image(frame: int, file_name: str, size: tuple[int, int]) -> dict[str, Any]:
    """The entry of a frame."""
    height, width = size
    return {"id": frame + 1, "file_name": file_name, "height": height, "width": width, "frame_index": frame}


def annotation(frame: int, number: int, category: int, item: ObjectLike) -> dict[str, Any]:
    """The entry of a mask, without its "id": compressed run lengths, box (x, y, width, height), area and scores."""
    rle = rle_of(item)
    return {
        "image_id": frame + 1,
        "category_id": category,
        "track_id": number,
        "object_id": number,  # deprecated: the earlier name in files of pictures
        "segmentation": rle.to_json(),
        "bbox": list(rle_box(rle)),
        "area": rle_area(rle),
        "iscrowd": 0,
        "score": item.iou,
        "presence": item.presence,
    }


def categories(labels: Iterable[str]) -> list[dict[str, Any]]:
    """The list of classes, in their order; "object" if there are none."""
    listed = list(labels) or ["object"]
    return [{"id": number, "name": label, "supercategory": "object"} for number, label in enumerate(listed, start=1)]


def _annotations(spool: Spool) -> Iterator[dict[str, Any]]:
    classes = spool.classes
    for frame in spool.frames():
        for name, item in spool.masks(frame).items():
            if rle_area(item.rle):
                found = annotation(frame, spool.indices[name], classes[spool.class_of(name)] + 1, item)
                said = spool.descriptions.get(name)
                yield {**found, "attributes": said.attributes} if said and said.attributes else found


def read_coco(path: Path) -> Iterator[PlainFrame]:
    """Masks of each image in the order of frames, by the names in "tracks", else by track_id, else by annotation.

    Images without a `frame_index`, and those of several videos, are numbered in the order in which they are listed.
    Masks may be run lengths, compressed or not, or polygons.
    """
    content = load_json(path)
    name = path.name
    images = entries(content, "images", dict, name)
    annotations: dict[int, list[dict[str, Any]]] = {}
    for found in entries(content, "annotations", dict, name):
        annotations.setdefault(entry(found, "image_id", int, name), []).append(found)
    names, classes = object_names(content, name), categories_of(content, name)
    tracks = {track["id"]: track for track in content.get("tracks", ()) if isinstance(track.get("id"), int)}
    frames = _frames_of(images, name)
    if unknown := annotations.keys() - {entry(listed, "id", int, name) for listed in images}:
        raise FormatError(f"{name} has annotations of the image {min(unknown)}, which is not in its list of images")
    for frame, listed in sorted(zip(frames, images, strict=True), key=lambda pair: pair[0]):
        size = size_of(listed, name)
        masks: dict[ObjectId, Rle] = {}
        objects: dict[ObjectId, RleMask] = {}
        indices: dict[ObjectId, int] = {}
        descriptions: dict[ObjectId, Description] = {}
        for found in annotations.get(listed["id"], []):
            number = entry(found, "track_id" if "track_id" in found else "id", int, name)
            known = names.get(number, number)
            masks[known], indices[known] = rle_from_json(found.get("segmentation"), size), number
            objects[known] = RleMask(masks[known], _score(found.get("score")), _score(found.get("presence")))
            descriptions |= descriptions_of(known, tracks.get(number, {}), classes, found.get("category_id"), name)
        yield replace(read_frame(frame, masks, size, indices, descriptions), objects=objects)


def _score(value: object) -> float:
    """A share of 1; 1 where there is none."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else 1.0


def picture_files(path: Path) -> dict[int, str]:
    """The file name of each frame's picture, as `read_coco` numbers frames; empty texts where there is none."""
    images = entries(load_json(path), "images", dict, path.name)
    files = (str(listed.get("file_name", "")) for listed in images)
    return dict(zip(_frames_of(images, path.name), files, strict=True))


def _frames_of(images: list[dict[str, Any]], name: str) -> list[int]:
    """The frame of each image; its place if two are of one frame, as in data sets of several videos."""
    frames = [entry({"frame_index": place, **listed}, "frame_index", int, name) for place, listed in enumerate(images)]
    return frames if len({*frames}) == len(frames) else list(range(len(frames)))


def picture_list(path: Path) -> tuple[str, ...]:
    """The same by place, as `Facts.names` has them; empty where a picture has no name, or numbers leave wide gaps."""
    files = picture_files(path)
    last = max(files, default=-1)
    dense = all(files.values()) and min(files, default=0) >= 0 and last < WIDEST_GAP * len(files)
    return tuple(files.get(frame, "") for frame in range(last + 1)) if dense else ()


def object_names(content: dict[str, Any], name: str) -> dict[int, ObjectId]:
    """The names of tracks by their numbers, as masklet writes them; empty for files of others."""
    names: dict[int, ObjectId] = {}
    if "tracks" in content:
        for track in entries(content, "tracks", dict, name):
            known = track.get("name")
            if isinstance(known, int | str):
                names[entry(track, "id", int, name)] = known
    return names


def categories_of(content: dict[str, Any], name: str) -> dict[int, str]:
    """The names of classes by their numbers; empty for files that list none."""
    listed = entries(content, "categories", dict, name) if "categories" in content else []
    return {entry(found, "id", int, name): entry(found, "name", str, name) for found in listed}


def descriptions_of(
    known: ObjectId, record: dict[str, Any], classes: dict[int, str], category: object, name: str
) -> dict[ObjectId, Description]:
    """What a file says of an object, as masklet writes it, or by its class alone; empty if its name says as much."""
    label = classes.get(category) if isinstance(category, int) else None
    try:
        said = Description.from_json({"category": "" if label in (None, label_of(known)) else label, **record})
    except SessionError as error:
        raise FormatError(f"{name} cannot be read: of object {known!r} {error}") from None
    return {known: said} if said else {}


COCO = Format(
    "coco",
    "COCO JSON: run lengths, boxes, areas, scores, track_id; any number of objects",
    write_coco,
    read_coco,
    video=".json",
    picture=".json",
    holds_many_pictures=True,
    names=picture_list,
)
