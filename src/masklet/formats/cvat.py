"""CVAT's XML 1.1: an image with its masks for each frame; those of an object have one `group_id`, which CVAT keeps.

Tracks of videos are read too. They are not written: CVAT takes the first mask of a track alone, and datumaro none.
Source: CVAT's documentation of its XML, its exporter and its importer: a mask's runs go along the rows of its box and
begin with the background; a shape that is "outside" ends a track.
"""

import re
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import atomic_write
from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, ObjectId, PlainFrame, read_frame
from masklet.formats.davis import folder_name, object_name
from masklet.formats.description import Description, read_description
from masklet.formats.json_file import read_bytes
from masklet.formats.writer import Spool, when_all_is_known
from masklet.masks.polygons import box_ring, drawn_by_opencv, pasted, ring_of
from masklet.masks.rle import Rle, check_mask_size, encode_rle, of_row_runs, rle_union, row_runs
from masklet.masks.shape import mask_box

NAME_ATTRIBUTE = "masklet_name"
"""The attribute in which the object's name is kept."""

_DIGITS = re.compile("[0-9]{1,9}")

_NOT_IN_XML = re.compile("[^\\t\\n\\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Letters that no XML may hold."""


@when_all_is_known
def write_cvat(path: Path, facts: Facts, spool: Spool) -> None:
    """One file. Attributes of objects that are texts, numbers or truths become CVAT's."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        for node in chain([_head(spool, facts)], (_image(spool, facts, frame) for frame in spool.frames())):
            ElementTree.indent(node)
            file.write(_NOT_IN_XML.sub("\ufffd", ElementTree.tostring(node, "unicode")) + "\n")
        file.write("</annotations>\n")


def _head(spool: Spool, facts: Facts) -> Element:
    (height, width), frames = facts.size, spool.frames()
    meta = Element("meta")
    task = SubElement(meta, "task")
    SubElement(task, "name").text = Path(facts.video).name
    SubElement(task, "size").text = str(facts.frame_count or (frames[-1] + 1 if frames else 0))
    labels = SubElement(task, "labels")
    for label in spool.classes:
        SubElement(SubElement(labels, "label"), "name").text = label
    size = SubElement(task, "original_size")
    SubElement(size, "width").text, SubElement(size, "height").text = str(width), str(height)
    return meta


def _image(spool: Spool, facts: Facts, frame: int) -> Element:
    """The masks of a frame; those of an object are of one group."""
    height, width = spool.sizes[frame]
    image = Element("image", id=str(frame), name=facts.picture_name(frame), width=str(width), height=str(height))
    for name, item in spool.masks(frame).items():
        mask = item.mask
        if not mask.any():
            continue
        x0, y0, x1, y1 = mask_box(mask).tolist()
        said = {"label": spool.class_of(name), "source": "auto", "occluded": 0, "group_id": spool.indices[name]}
        box = {"left": x0, "top": y0, "width": x1 - x0, "height": y1 - y0, "z_order": 0}
        runs = ", ".join(map(str, row_runs(mask[y0:y1, x0:x1]).tolist()))
        shape = SubElement(image, "mask", {key: str(value) for key, value in {**said, "rle": runs, **box}.items()})
        for key, value in {**spool.said_of(name).attributes, NAME_ATTRIBUTE: folder_name(name)}.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            SubElement(shape, "attribute", name=key).text = text
    return image


def read_cvat(path: Path) -> Iterator[PlainFrame]:
    """Masks, polygons and boxes of CVAT's XML 1.1, of videos and of pictures. Objects have the name that masklet gave
    them, else the number of their track, or of the group that shapes of one label make; any other shape is an object of
    its own. Raises FormatError for what is damaged."""
    root, file = _root(path), path.name
    sizes: dict[int, tuple[int, int]] = {}
    masks: dict[int, dict[ObjectId, Rle]] = {}
    indices: dict[ObjectId, int] = {}
    descriptions: dict[ObjectId, Description] = {}
    groups: dict[tuple[int, str], int] = {}
    tracks = {_whole(track, "id", file) for track in root.iter("track")}
    taken = tracks | {_group(node, file) for node in root.iter()}
    free = (number for number in count(1) if number not in taken)

    def object_of(node: Element, label: str) -> ObjectId:
        given, group = node.findtext(f".//attribute[@name='{NAME_ATTRIBUTE}']"), _group(node, file)
        if given:
            return object_name(given)
        if not group:
            return _whole(node, "id", file) if node.tag == "track" else next(free)
        if (group, label) not in groups:
            groups[group, label] = next(free) if group in {*tracks, *groups.values()} else group
        return groups[group, label]

    def take(shape: Element, frame: int, label: str, name: ObjectId | None = None) -> None:
        if (mask := _mask(shape, sizes[frame], file)) is None:
            return
        name, there = object_of(shape, label) if name is None else name, masks.setdefault(frame, {})
        there[name] = rle_union(there.get(name), encode_rle(mask))
        indices.setdefault(name, len(indices) + 1)
        if label and label not in (name, "object"):
            descriptions[name] = read_description({"category": label}, file)

    whole = root.find("meta/task/original_size")
    for track in root.iter("track"):
        label = track.get("label", "")
        name = object_of(track, label)
        for shape in track:
            frame = _whole(shape, "frame", file)
            sizes[frame] = _size(whole, file)
            if shape.get("outside") != "1":
                take(shape, frame, label, name)
    for picture in root.iter("image"):
        frame = _whole(picture, "id", file)
        sizes[frame] = (_whole(picture, "height", file), _whole(picture, "width", file))
        masks.setdefault(frame, {})
        for shape in picture:
            take(shape, frame, shape.get("label", ""))
    for frame, found in sorted(masks.items()):
        said = {name: descriptions[name] for name in found if name in descriptions}
        yield read_frame(frame, found, sizes[frame], indices, said)


def _group(node: Element, name: str) -> int:
    return _whole(node, "group_id", name) if node.get("group_id") else 0


def _root(path: Path) -> Element:
    content = read_bytes(path, "an XML file")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise FormatError(f"{path.name} declares entities, which CVAT's files do not; give another copy")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FormatError(f"{path.name} is no whole XML ({error}); is it cut short? Give another copy") from error
    if root.tag != "annotations":
        raise FormatError(
            f"{path.name} begins with <{root.tag:.40}>; give a file of CVAT, which begins with <annotations>"
        )
    return root


def _size(found: Element | None, name: str) -> tuple[int, int]:
    if found is None:
        raise FormatError(f"{name} does not say how large its frames are; export it from CVAT with its task")
    height, width = (found.findtext(side, "").strip() for side in ("height", "width"))
    if not (_DIGITS.fullmatch(height) and _DIGITS.fullmatch(width)):
        raise FormatError(f"the size in {name} is {height:.40} x {width:.40}; expected whole numbers")
    return int(height), int(width)


def _mask(shape: Element, size: tuple[int, int], name: str) -> NDArray[np.bool_] | None:
    """bool (H, W); None for points, lines and what else has no area."""
    check_mask_size(size)
    what = f"a {shape.tag} in {name}"
    if shape.tag == "mask":
        return _of_runs(shape, size, what, name)
    if shape.tag == "box":
        ends = [(shape.get("xtl"), shape.get("ytl")), (shape.get("xbr"), shape.get("ybr"))]
        ring, turn = box_ring(*ring_of(ends, size, what, least=2).ravel()), shape.get("rotation", "0")
        try:
            angle = np.radians(float(turn or 0) % 360)  # clockwise around its middle
        except ValueError:
            angle = np.nan
        if not np.isfinite(angle):
            raise FormatError(f"the rotation of {what} is {turn:.40}; expected degrees")
        if angle:
            middle, (across, down) = ring.mean(axis=0), (np.cos(angle), np.sin(angle))
            ring = (ring - middle) @ [(across, down), (-down, across)] + middle
    elif shape.tag == "polygon":
        ring = ring_of([pair.split(",") for pair in shape.get("points", "").split(";")], size, what, least=1)
    else:
        return None
    return drawn_by_opencv(ring, size)


def _of_runs(shape: Element, size: tuple[int, int], what: str, name: str) -> NDArray[np.bool_]:
    left, top, width, height = (_whole(shape, key, name) for key in ("left", "top", "width", "height"))
    if not (0 < height <= size[0] and 0 < width <= size[1]):
        raise FormatError(f"{what} does not lie in its frame of {size[1]} x {size[0]} pixels")
    try:
        filled = of_row_runs(shape.get("rle", "").split(","), (height, width))
    except ValueError as error:
        raise FormatError(f"the runs of {what} {error}; give another copy") from error
    return pasted(filled, (left, top), size, what)


def _whole(shape: Element, key: str, name: str) -> int:
    text = shape.get(key, "")
    if not _DIGITS.fullmatch(text):
        told = repr(text)[:40] if text else "missing"
        raise FormatError(f"{key!r} of a <{shape.tag}> in {name} is {told}; expected a whole number below 10^9")
    return int(text)


CVAT = Format(
    "cvat", "CVAT 1.1: an XML with the masks of each frame, grouped by object", write_cvat, read_cvat, video=".xml"
)
