"""Run lengths in one file. COCO: a JSON, each annotation with the `track_id` of its object. YouTube-VIS: an annotation
for an object, its masks in a list over the frames. SA-V: for each frame a list over all objects ("masklets"). MOTS: a
text of lines `frame id class height width rle`, as the MOTS and KITTI-MOTS challenges take them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from masklet.atomic import atomic_write
from masklet.errors import FormatError
from masklet.formats.base import (
    Facts,
    Format,
    FrameLike,
    ObjectId,
    ObjectLike,
    PlainFrame,
    RleMask,
    Sink,
    index_map,
    mask_only,
    read_frame,
    rle_of,
)
from masklet.formats.description import Description, label_of, read_description
from masklet.formats.json_file import entries, entry, load_json, read_lines, record_size, write_listed
from masklet.formats.writer import Spool, when_all_is_known
from masklet.masks.rle import Rle, encode_rle, rle_area, rle_box, rle_from_json, rle_union


@when_all_is_known
def write_coco(path: Path, facts: Facts, spool: Spool) -> None:
    """Images and annotations of all frames; an empty mask has no annotation, its image is listed all the same."""
    tracks = [{"id": number, "name": name, **spool.said_of(name).to_json()} for name, number in spool.indices.items()]
    head = {
        "images": [image(frame, facts.picture_name(frame), spool.sizes[frame]) for frame in spool.frames()],
        "categories": categories(spool.classes),
        "tracks": tracks,
        "info": {"description": facts.video, "version": "1.0"},
        "licenses": [],
    }
    indices, classes = spool.indices, spool.classes
    found = (
        annotation(frame, indices[name], classes[spool.class_of(name)], item, spool.said_of(name))
        for frame, name, item in spool.seen()
    )
    write_listed(path, head, "annotations", ({**one, "id": count} for count, one in enumerate(found, start=1)))


def image(frame: int, file_name: str, size: tuple[int, int]) -> dict[str, Any]:
    height, width = size
    return {"id": frame + 1, "file_name": file_name, "height": height, "width": width, "frame_index": frame}


def annotation(
    frame: int, number: int, category: int, item: ObjectLike, said: Description | None = None
) -> dict[str, Any]:
    """The entry of a mask, without its "id": compressed run lengths, box (x, y, width, height), area, scores, and
    attributes, among which CVAT and datumaro look for the track."""
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
        "attributes": {**(said.attributes if said is not None else {}), "track_id": number},
    }


def categories(labels: Iterable[str]) -> list[dict[str, Any]]:
    """The list of classes, in their order; "object" if there are none."""
    listed = list(labels) or ["object"]
    return [{"id": number, "name": label, "supercategory": "object"} for number, label in enumerate(listed, start=1)]


def read_coco(path: Path) -> Iterator[PlainFrame]:
    """Masks of each image in the order of frames, by the names in "tracks", else by track_id, else by annotation. Those
    of one object in an image are its parts.

    Images without a `frame_index`, and those of several videos, are numbered in the order in which they are listed.
    Masks may be run lengths, compressed or not, or polygons.
    """
    content = load_json(path)
    name = path.name
    images = entries(content, "images", dict, name)
    annotations: dict[int, list[dict[str, Any]]] = {}
    for found in entries(content, "annotations", dict, name):
        annotations.setdefault(entry(found, "image_id", int, name), []).append(found)
    classes = categories_of(content, name)
    tracks = {entry(track, "id", int, name): track for track in entries(content, "tracks", dict, name, [])}
    named = Counter(_name_of(track, number) for number, track in tracks.items())
    frames = _frames_of(images, name)
    if unknown := annotations.keys() - {entry(listed, "id", int, name) for listed in images}:
        raise FormatError(f"{name} has annotations of the image {min(unknown)}, which is not in its list of images")
    for frame, listed in sorted(zip(frames, images, strict=True), key=lambda pair: pair[0]):
        size = record_size(listed, name)
        masks: dict[ObjectId, RleMask] = {}
        indices: dict[ObjectId, int] = {}
        descriptions: dict[ObjectId, Description] = {}
        for found in annotations.get(listed["id"], []):
            number = _number_of(found, name)
            track = tracks.get(number, {})
            known = _name_of(track, number)
            known = known if named[known] < 2 else number  # names of others may be classes
            part = masks.get(known) if "presence" not in found else None  # masklet writes candidates, not parts
            rle = rle_union(part.rle if part else None, rle_from_json(found.get("segmentation"), size))
            masks[known] = RleMask(rle, _score(found.get("score")), _score(found.get("presence")))
            indices[known] = number
            descriptions |= descriptions_of(known, track, classes, found.get("category_id"), name)
        yield read_frame(frame, masks, size, indices, descriptions)


def _name_of(record: dict[str, Any], number: int) -> ObjectId:
    """Of the object, where masklet wrote it."""
    return record["name"] if isinstance(record.get("name"), int | str) else number


def _number_of(found: dict[str, Any], name: str) -> int:
    """Of the track, if anything says one; CVAT writes it among the attributes."""
    attributes = found.get("attributes")
    if "track_id" not in found and isinstance(attributes, dict) and "track_id" in attributes:
        found = attributes
    return entry(found, "track_id" if "track_id" in found else "id", int, name)


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
    """The same by place, as `Facts.names` has them; empty where a picture has no name, or numbers leave gaps of over a
    thousand frames."""
    files = picture_files(path)
    last = max(files, default=-1)
    dense = all(files.values()) and min(files, default=0) >= 0 and last < 1000 * len(files)
    return tuple(files.get(frame, "") for frame in range(last + 1)) if dense else ()


def categories_of(content: dict[str, Any], name: str) -> dict[int, str]:
    """The names of classes by their numbers; empty for files that list none."""
    classes: dict[int, str] = {}
    for found in entries(content, "categories", dict, name, []):
        number, label = entry(found, "id", int, name), entry(found, "name", str, name)
        if classes.setdefault(number, label) != label:
            raise FormatError(
                f"{name} has two classes of the number {number}, {classes[number]} and {label}; give each its own"
            )
    return classes


def descriptions_of(
    known: ObjectId, record: dict[str, Any], classes: dict[int, str], category: object, name: str
) -> dict[ObjectId, Description]:
    """What a file says of an object, as masklet writes it, or by its class alone; empty if its name says as much."""
    label = classes.get(category) if isinstance(category, int) else None
    own = {"category": "" if label in (None, label_of(known)) else label}
    said = read_description({**own, **record}, f"object {known!r} of {name}")
    return {known: said} if said else {}


@when_all_is_known
def write_ytvis(path: Path, facts: Facts, spool: Spool) -> None:
    """One video; a frame where an object is not seen holds null."""
    frames, classes, (height, width) = spool.frames(), spool.classes, facts.size
    common = {"height": height, "width": width, "length": len(frames)}
    files = {"file_names": [facts.picture_name(frame) for frame in frames], "frame_indices": frames}
    head = {
        "info": {"version": "1.0"},
        "licenses": [],
        "videos": [{"id": 1, "name": facts.video, **common, **files}],
        "categories": categories(classes),
    }
    objects = (_of_object(spool, name, classes[spool.class_of(name)]) | common for name in spool.indices)
    write_listed(path, head, "annotations", objects)


def _of_object(spool: Spool, name: ObjectId, category: int) -> dict[str, Any]:
    seen = {frame: item for frame, item in spool.track(name) if rle_area(item.rle)}
    return {
        "id": spool.indices[name],
        "name": name,
        **spool.said_of(name).to_json(),
        "video_id": 1,
        "category_id": category,
        "iscrowd": 0,
        "score": sum(item.iou for item in seen.values()) / len(seen) if seen else 0.0,
        **over_time([seen[frame].rle if frame in seen else None for frame in spool.frames()]),
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
    size = record_size(video, name)
    length = len(entries(video, "file_names", str, name))
    frames = entries(video, "frame_indices", int, name, list(range(length)))
    tracks: dict[ObjectId, list[Any]] = {}
    indices: dict[ObjectId, int] = {}
    descriptions: dict[ObjectId, Description] = {}
    classes = categories_of(content, name)
    for found in entries(content, "annotations", dict, name):
        number = entry(found, "id", int, name)
        known, masks = _name_of(found, number), entry(found, "segmentations", list, name)
        if len(masks) != length or len(frames) != length:
            raise FormatError(f"{name} has {len(masks)} masks of the object {number} for {length} frames")
        tracks[known], indices[known] = masks, number
        descriptions |= descriptions_of(known, found, classes, found.get("category_id"), name)
    for place, frame in sorted(enumerate(frames), key=lambda pair: pair[1]):
        listed = ((known, masks[place]) for known, masks in tracks.items())
        rles = {known: rle_from_json(mask, size) for known, mask in listed if mask is not None}
        yield read_frame(frame, rles, size, indices, descriptions)


@when_all_is_known
def write_sav(path: Path, facts: Facts, spool: Spool) -> None:
    """Every frame from 0 to the last is annotated (SA-V's own files: every fourth); frames not written are empty."""
    nothing = encode_rle(np.zeros(facts.size, np.bool_))

    def row(frame: int) -> list[Any]:
        masks = spool.masks(frame)
        return [(masks[name].rle if name in masks else nothing).to_json() for name in spool.indices]

    write_listed(path, _sav_head(spool, facts), "masklet", map(row, range(max(spool.frames(), default=-1) + 1)))


def _sav_head(spool: Spool, facts: Facts) -> dict[str, Any]:
    """All fields but the masks, under SA-V's names; and `masklet_frames`, `masklet_name`, which are ours."""
    height, width = facts.size
    frames = spool.frames()
    count = facts.frame_count or (frames[-1] + 1 if frames else 0)
    tracks = [_track_facts(spool, name) for name in spool.indices]
    sizes, pixels = [track["size"] for track in tracks], height * width
    return {
        "video_id": Path(facts.video).stem or "video",
        "video_duration": count / float(facts.rate or 24),  # of SA-V's own videos, where nothing says it
        "video_frame_count": float(count),
        "video_height": float(height),
        "video_width": float(width),
        "video_resolution": float(pixels),
        "video_environment": "",
        "video_split": "",
        "masklet_id": list(spool.indices.values()),
        "masklet_size_rel": [size / pixels for size in sizes],
        "masklet_size_abs": sizes,
        "masklet_size_bucket": ["small" if s < 32**2 else "medium" if s < 96**2 else "large" for s in sizes],
        "masklet_visibility_changes": [track["changes"] for track in tracks],
        "masklet_first_appeared_frame": [track["first"] for track in tracks],
        "masklet_frame_count": [len(frames)] * len(tracks),
        "masklet_edited_frame_count": [0] * len(tracks),
        "masklet_type": ["auto"] * len(tracks),
        "masklet_stability_score": None,
        "masklet_num": len(tracks),
        "masklet_frames": frames,
        "masklet_name": list(spool.indices),
    }


def _track_facts(spool: Spool, name: ObjectId) -> dict[str, Any]:
    """Mean area where the object is seen, how often that changes after its first frame, and this frame."""
    areas = {frame: rle_area(item.rle) for frame, item in spool.track(name)}
    seen = [frame for frame, area in areas.items() if area]
    visible = [bool(area) for frame, area in areas.items() if seen and frame >= seen[0]]
    changes = sum(before != after for before, after in pairwise(visible))
    size = sum(areas.values()) / len(seen) if seen else 0.0
    return {"size": size, "changes": changes, "first": float(seen[0]) if seen else -1.0}


def read_sav(path: Path) -> Iterator[PlainFrame]:
    """Masks of each annotated frame by the objects' names where masklet wrote them, else by masklet_id.

    A frame's number is its place in the list: of SA-V's own files, which have every fourth frame, 0, 1, 2 ...
    """
    content = load_json(path)
    name = path.name
    size = record_size(content, name, prefix="video_")
    rows = entries(content, "masklet", list, name)
    ids = entries(content, "masklet_id", int, name)
    known = content.get("masklet_name", ids)
    if not isinstance(known, list) or len(known) != len(ids) or not all(isinstance(item, int | str) for item in known):
        raise FormatError(f"'masklet_name' in {name} is no list of {len(ids)} names")
    for frame in entries(content, "masklet_frames", int, name, list(range(len(rows)))):
        if not 0 <= frame < len(rows):
            raise FormatError(f"{name} has masks of {len(rows)} frames, and names frame {frame}; is it cut short?")
        row = rows[frame]
        if len(row) != len(ids):
            raise FormatError(f"{name} has {len(row)} masks in frame {frame} for {len(ids)} objects")
        masks = {item: rle_from_json(mask, size) for item, mask in zip(known, row, strict=True)}
        yield read_frame(frame, masks, size, dict(zip(known, ids, strict=True)))


MOTS_CLASS = 1
"""The class that is written; the challenges call it "car". An id is 1000 times the class and the object's number."""


@contextmanager
def write_mots(path: Path, facts: Facts) -> Iterator[Sink]:
    """Lines in the order of frames. Where masks overlap, the surer one is kept; empty masks have no line."""
    with _write_lines(path, facts) as add:

        def apart(result: FrameLike) -> None:
            numbers = index_map(result, most=999, instead="coco, sav or project")
            objects = {name: mask_only(numbers == result.indices[name]) for name in result.objects}
            add(PlainFrame(result.frame, result.time, result.size, objects, result.indices))

        yield apart


@when_all_is_known
def _write_lines(path: Path, facts: Facts, spool: Spool) -> None:
    (height, width), indices = facts.size, spool.indices
    with atomic_write(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        for frame, name, item in spool.seen():
            number = 1000 * MOTS_CLASS + indices[name]
            file.write(f"{frame} {number} {MOTS_CLASS} {height} {width} {item.rle.counts}\n")


def read_mots(path: Path) -> Iterator[PlainFrame]:
    """Masks of each frame that has any: ids 1001 to 1999 as 1 to 999, all others as they are; 10000 is passed over."""
    frames: dict[int, dict[ObjectId, Rle]] = {}
    for line, place in read_lines(path, "MOTS text"):
        fields = line.split()
        if len(fields) != 6 or not all(field.isdigit() and len(field) < 10 for field in fields[:5]):
            raise FormatError(f"{place} is not `frame id class height width rle`; is the file cut short?")
        frame, number, _, height, width = map(int, fields[:5])
        if number != 10_000:  # a region to be left out of scores
            known = number - 1000 if 1000 < number < 2000 else number
            frames.setdefault(frame, {})[known] = Rle((height, width), fields[5])
    for frame, masks in sorted(frames.items()):
        sizes = {rle.size for rle in masks.values()}
        if len(sizes) > 1:
            raise FormatError(
                f"the masks of frame {frame} in {path.name} are of the sizes {sorted(sizes)}; give one video"
            )
        yield read_frame(frame, masks, next(iter(sizes)), {number: int(number) for number in masks})


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
YTVIS = Format(
    "ytvis",
    "YouTube-VIS JSON: one annotation per object; any number of objects",
    write_ytvis,
    read_ytvis,
    video=".json",
)
SAV = Format(
    "sav", "SA-V JSON: run lengths per frame and object; any number of objects", write_sav, read_sav, video=".json"
)
MOTS = Format("mots", "MOTS text: a line per mask; objects 1 to 999, no overlap", write_mots, read_mots, video=".txt")
