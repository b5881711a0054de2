"""CVAT for video 1.1: one XML with a track for each object, in it a mask for each frame.

Source: CVAT's documentation of its XML, and its exporter: a mask's runs go along the rows of its box and begin with the
background; a shape that is "outside" ends a track.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby, pairwise
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import atomic_write
from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, ObjectId, PlainFrame, Sink, read_frame
from masklet.formats.description import Description
from masklet.formats.object_pngs import folder_name, object_name
from masklet.formats.spool import Spool, spooled
from masklet.masks.polygons import drawn_by_opencv
from masklet.masks.rle import Rle, check_near, check_size, encode_rle
from masklet.masks.shape import mask_box

NAME = "masklet_name"
"""The attribute in which the object's name is kept."""

MOST_FRAME = 10**9
"""Numbers of frames lie below this."""


@contextmanager
def write_cvat(path: Path, facts: Facts) -> Iterator[Sink]:
    """One file. Attributes of objects that are texts, numbers or truths become CVAT's."""
    with spooled(path) as spool:
        yield spool.add
        with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            height, width = facts.size
            frames = spool.frames()
            file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n')
            file.write(f"    <task>\n      <name>{_text(Path(facts.video).name)}</name>\n")
            file.write(f"      <size>{facts.frame_count or (frames[-1] + 1 if frames else 0)}</size>\n")
            file.write("      <mode>interpolation</mode>\n      <labels>\n")
            file.writelines(f"        <label><name>{_text(label)}</name></label>\n" for label in spool.classes)
            file.write(f"      </labels>\n      <original_size><width>{width}</width><height>{height}</height>")
            file.write("</original_size>\n    </task>\n  </meta>\n")
            for name, number in spool.indices.items():
                file.write(f'  <track id="{number}" label={quoteattr(spool.class_of(name))} source="auto">\n')
                file.writelines(_shapes(spool, name))
                file.write("  </track>\n")
            file.write("</annotations>\n")


def _shapes(spool: Spool, name: ObjectId) -> Iterator[str]:
    """The masks of a track; after the last of each run of frames one that says that the object is gone."""
    said = spool.descriptions.get(name) or Description()
    attributes = "".join(
        f"      <attribute name={quoteattr(key)}>{_text(_value(value))}</attribute>\n"
        for key, value in {**said.attributes, NAME: folder_name(name)}.items()
    )
    frames = spool.frames()
    following = dict(pairwise(frames))
    shown = {frame: item.mask for frame, item in spool.track(name)}
    for frame, mask in shown.items():
        if not mask.any():
            continue
        x0, y0, x1, y1 = mask_box(mask).tolist()
        shape = mask[y0:y1, x0:x1]
        yield _shape(frame, 0, row_runs(shape), (x0, y0), shape.shape, attributes)
        after = following.get(frame)
        if after is not None and (after not in shown or not shown[after].any()):
            yield _shape(after, 1, row_runs(shape), (x0, y0), shape.shape, attributes)


def _shape(
    frame: int, outside: int, runs: list[int], corner: tuple[int, int], size: tuple[int, ...], attributes: str
) -> str:
    return (
        f'    <mask frame="{frame}" keyframe="1" outside="{outside}" occluded="0" rle="{", ".join(map(str, runs))}" '
        f'left="{corner[0]}" top="{corner[1]}" width="{size[1]}" height="{size[0]}" z_order="0">\n{attributes}'
        "    </mask>\n"
    )


def row_runs(mask: NDArray[np.bool_]) -> list[int]:
    """The run lengths of a mask along its rows, beginning with the background."""
    runs = [len(list(found)) for _, found in groupby(mask.ravel().tolist())]
    return [0, *runs] if mask.flat[0] else runs


def read_cvat(path: Path) -> Iterator[PlainFrame]:
    """Masks, polygons and boxes of CVAT's XML 1.1, of videos and of pictures: tracks by the name that masklet gave
    them, else by their id; shapes of pictures one object each. Raises FormatError for what is damaged."""
    root = _root(path)
    sizes: dict[int, tuple[int, int]] = {}
    masks: dict[int, dict[ObjectId, Rle]] = {}
    indices: dict[ObjectId, int] = {}
    descriptions: dict[ObjectId, Description] = {}

    def take(shape: ElementTree.Element, frame: int, name: ObjectId, label: str) -> None:
        mask = _mask(shape, sizes[frame], path.name)
        if mask is not None:
            masks.setdefault(frame, {})[name] = encode_rle(mask)
            indices.setdefault(name, len(indices) + 1)
            if label and label not in (name, "object"):
                descriptions[name] = Description(category=label)

    whole = root.find("meta/task/original_size")
    for track in root.iter("track"):
        number, label = _whole(track, "id", path.name), track.get("label", "")
        given = track.findtext(f"*/attribute[@name='{NAME}']")
        name = object_name(given) if given else number
        for shape in track:
            frame = _whole(shape, "frame", path.name)
            sizes[frame] = _size(whole, path.name)
            if shape.get("outside") != "1":
                take(shape, frame, name, label)
    for picture in root.iter("image"):
        frame = _whole(picture, "id", path.name)
        sizes[frame] = (_whole(picture, "height", path.name), _whole(picture, "width", path.name))
        masks.setdefault(frame, {})
        for shape in picture:
            take(shape, frame, len(indices) + 1, shape.get("label", ""))
    for frame in sorted(masks):
        said = {name: descriptions[name] for name in masks[frame] if name in descriptions}
        yield read_frame(frame, masks[frame], sizes[frame], indices, said)


def _root(path: Path) -> ElementTree.Element:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}; give the path of an XML file") from error
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


def _size(found: ElementTree.Element | None, name: str) -> tuple[int, int]:
    if found is None:
        raise FormatError(f"{name} does not say how large its frames are; export it from CVAT with its task")
    sides = {side: found.findtext(side, "").strip() for side in ("height", "width")}
    if not all(text.isascii() and text.isdecimal() and len(text) < 10 for text in sides.values()):
        raise FormatError(f"the size in {name} is {sides['height']:.40} x {sides['width']:.40}; expected whole numbers")
    return int(sides["height"]), int(sides["width"])


def _mask(shape: ElementTree.Element, size: tuple[int, int], name: str) -> NDArray[np.bool_] | None:
    """bool (H, W); None for points, lines and what else has no area."""
    check_size(size)
    if shape.tag == "mask":
        return _of_runs(shape, size, name)
    if shape.tag == "box":
        x0, y0, x1, y1 = (_number(shape, key, name) for key in ("xtl", "ytl", "xbr", "ybr"))
        ring = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    elif shape.tag == "polygon":
        ring = _corners(shape.get("points", ""), name)
    else:
        return None
    check_near(ring, size, f"a {shape.tag} in {name}")
    return drawn_by_opencv(ring, size)


def _of_runs(shape: ElementTree.Element, size: tuple[int, int], name: str) -> NDArray[np.bool_]:
    left, top, width, height = (_whole(shape, key, name) for key in ("left", "top", "width", "height"))
    if not (0 <= left < left + width <= size[1] and 0 <= top < top + height <= size[0]):
        raise FormatError(f"a mask in {name} does not lie in its frame of {size[1]} x {size[0]} pixels")
    try:
        runs = np.array([int(run) for run in shape.get("rle", "").split(",")], np.int64)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"the runs of a mask in {name} are no whole numbers; give another copy") from error
    if (runs < 0).any() or (runs > width * height).any() or runs.sum() != width * height:
        raise FormatError(f"the runs of a mask in {name} do not fill its box of {width} x {height}; give another copy")
    mask = np.zeros(size, np.bool_)
    filled = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    mask[top : top + height, left : left + width] = filled.reshape(height, width)
    return mask


def _corners(text: str, name: str) -> NDArray[np.float64]:
    try:
        ring = np.array([[float(number) for number in pair.split(",")] for pair in text.split(";")], np.float64)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"the corners of a polygon in {name} are no numbers; give another copy") from error
    if ring.ndim != 2 or ring.shape[1] != 2 or not np.isfinite(ring).all():
        raise FormatError(f"a polygon in {name} is not x,y;x,y;... of finite numbers; give another copy")
    return ring


def _number(shape: ElementTree.Element, key: str, name: str) -> float:
    try:
        found = float(shape.get(key, ""))
    except ValueError:
        found = np.nan
    if not np.isfinite(found):
        told = repr(shape.get(key, "missing"))[:40]
        raise FormatError(f"{key!r} of a <{shape.tag}> in {name} is {told}; expected a number")
    return found


def _whole(shape: ElementTree.Element, key: str, name: str) -> int:
    text = shape.get(key, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        told = repr(text)[:40] if text else "missing"
        raise FormatError(f"{key!r} of a <{shape.tag}> in {name} is {told}; expected a whole number below {MOST_FRAME}")
    return int(text)


def _text(value: object) -> str:
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _value(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


CVAT = Format(
    "cvat",
    "CVAT for video 1.1: an XML with a track of masks for each object",
    write_cvat,
    read_cvat,
    video=".xml",
)
