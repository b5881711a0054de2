"""YouTube-VIS: one JSON with one annotation for each object, its masks in a list over the frames."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from masklet.atomic import atomic_write
from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, ObjectId, PlainFrame, Sink, read_frame
from masklet.formats.coco import categories, categories_of, descriptions_of
from masklet.formats.description import Description
from masklet.formats.json_file import entries, entry, load_json, size_of
from masklet.formats.spool import Spool, spooled
from masklet.masks.rle import Rle, rle_area, rle_box, rle_from_json


@contextmanager
def write_ytvis(path: Path, facts: Facts) -> Iterator[Sink]:
    """One video; a frame where an object is not seen holds null."""
    with spooled(path) as spool:
        yield spool.add
        with atomic_write(path) as temporary, temporary.open("w", encoding="ascii") as file:
            height, width = facts.size
            frames = spool.frames()
            video = {
                "id": 1,
                "name": facts.video,
                "height": height,
                "width": width,
                "length": len(frames),
                "file_names": [facts.picture_name(frame) for frame in frames],
                "frame_indices": frames,
            }
            file.write(
                json.dumps({"videos": [video], "categories": categories(spool.classes)})[:-1] + ', "annotations": ['
            )
            classes = spool.classes
            for count, name in enumerate(spool.indices):
                file.write(",\n" if count else "\n")
                json.dump(_annotation(spool, name, classes[spool.class_of(name)] + 1, facts), file, allow_nan=False)
            file.write('],\n"info": {"version": "1.0"}, "licenses": []}')


def _annotation(spool: Spool, name: ObjectId, category: int, facts: Facts) -> dict[str, Any]:
    seen = {frame: item for frame, item in spool.track(name) if rle_area(item.rle)}
    frames = spool.frames()
    height, width = facts.size
    return {
        "id": spool.indices[name],
        "name": name,
        **(spool.descriptions.get(name) or Description()).to_json(),
        "video_id": 1,
        "category_id": category,
        "height": height,
        "width": width,
        "length": len(frames),
        "iscrowd": 0,
        "score": sum(item.iou for item in seen.values()) / len(seen) if seen else 0.0,
        **over_time([seen[frame].rle if frame in seen else None for frame in frames]),
    }


def over_time(masks: Sequence[Rle | None]) -> dict[str, list[Any]]:
    """The lists of an annotation, with an entry for each frame: null where the object is not seen."""
    return {
        "segmentations": [rle and rle.to_json() for rle in masks],
        "bboxes": [rle and list(rle_box(rle)) for rle in masks],
        "areas": [rle and rle_area(rle) for rle in masks],
    }


def read_ytvis(path: Path) -> Iterator[PlainFrame]:
    """Masks of each frame, by the objects' names where masklet wrote them, else by annotation.

    Raises FormatError if the file holds more than one video, or lists of different lengths.
    """
    content = load_json(path)
    name = path.name
    videos = entries(content, "videos", dict, name)
    if len(videos) != 1:
        raise FormatError(f"{name} holds {len(videos)} videos; give a file of one")
    video = videos[0]
    size = size_of(video, name)
    length = len(entries(video, "file_names", str, name))
    frames = entries({"frame_indices": list(range(length)), **video}, "frame_indices", int, name)
    tracks: dict[ObjectId, list[Any]] = {}
    indices: dict[ObjectId, int] = {}
    descriptions: dict[ObjectId, Description] = {}
    classes = categories_of(content, name)
    for annotation in entries(content, "annotations", dict, name):
        known = annotation.get("name")
        number = entry(annotation, "id", int, name)
        masks = entry(annotation, "segmentations", list, name)
        if len(masks) != length or len(frames) != length:
            raise FormatError(f"{name} has {len(masks)} masks of the object {number} for {length} frames")
        key = known if isinstance(known, int | str) else number
        tracks[key], indices[key] = masks, number
        descriptions |= descriptions_of(key, annotation, classes, annotation.get("category_id"), name)
    for place, frame in sorted(enumerate(frames), key=lambda pair: pair[1]):
        seen = {known: masks[place] for known, masks in tracks.items() if masks[place] is not None}
        yield read_frame(
            frame, {known: rle_from_json(mask, size) for known, mask in seen.items()}, size, indices, descriptions
        )


YTVIS = Format(
    "ytvis",
    "YouTube-VIS JSON: one annotation per object; any number of objects",
    write_ytvis,
    read_ytvis,
    video=".json",
)
