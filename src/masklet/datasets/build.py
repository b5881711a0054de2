"""One data set of many annotated videos and pictures, in the layout of the tool that is to read it.

Frames are written under the names that the annotations use; pictures that are files already are copied as they are.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from masklet.atomic import atomic_write, make_folder, write_whole, writing
from masklet.errors import FormatError
from masklet.formats import coco
from masklet.formats.base import MAX_INDEX, Facts, PlainFrame, index_map, rle_of
from masklet.formats.davis import write_index_png
from masklet.formats.description import label_of
from masklet.formats.labels import yolo_lines
from masklet.formats.registry import find_format
from masklet.formats.writer import Writer
from masklet.masks.draw import PALETTE
from masklet.masks.rle import Rle, rle_area

JPEG_QUALITY = 95

WRITTEN_SPLITS = ("train", "val")


@dataclass(frozen=True)
class AnnotatedFrames:
    """One annotated video, or folder of pictures."""

    name: str  # of the folder of its frames; unique in the data set
    frames: Callable[[], Iterator[PlainFrame]]  # gives its annotated frames with their pictures, in their order
    facts: Facts  # of the video; its `names` are those of the pictures
    pictures: Path | None = None  # the folder of its pictures, which are copied; None if frames come from a film
    split: str = "train"  # or "val"


@dataclass
class Built:
    videos: int = 0
    frames: int = 0
    masks: int = 0
    classes: list[str] = field(default_factory=list)


def build_dataset(
    parts: Sequence[AnnotatedFrames],
    out: Path,
    layout: str,
    classes: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Built:
    """Write a data set into a new or empty folder; `layout` is one of `LAYOUTS`, or a format of videos. `classes` are
    all, in the order of their numbers; as they come if not given. `progress` is called with the name of each part.

    Raises FormatError if two parts have one name, a part has no frames, an object is of another class than those that
    are given, a mask and its picture differ in size, or something cannot be read or written.
    """
    if not parts:
        raise FormatError("there is nothing to build a data set of; give sessions, or masks with their videos")
    names = [part.name for part in parts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise FormatError(f"two videos are called {twice[0]}; rename one, as their frames share a folder")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FormatError(f"{out} holds something already; give a new folder")
    make_folder(out.parent)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with writing(out):
            make_folder(temporary)
            made = (
                LAYOUTS[layout](temporary, classes) if layout in LAYOUTS else FormatLayout(temporary, classes, layout)
            )
            built = made.write(parts, progress)
            if out.exists():
                out.rmdir()
            temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return built


class WrittenLayout:
    """Where frames and annotations of a data set lie.

    list_folder  the folder of the lists SPLIT.txt, for layouts that have them; `lists` is what each split has in it
    json_path    the path of the JSON of each split, with {} for the split, for layouts that have one, its `content`
    classes      in the order of their numbers, from 0; with `fixed` there are no others
    """

    list_folder = json_path = ""

    def __init__(self, out: Path, classes: Sequence[str] | None) -> None:
        self.out, self.classes, self.fixed = out, list(classes or ()), classes is not None
        self.lists: dict[str, list[str]] = {split: [] for split in WRITTEN_SPLITS}
        self.content: dict[str, dict[str, list[Any]]] = {}

    def write(self, parts: Sequence[AnnotatedFrames], progress: Callable[[str], None]) -> Built:
        built = Built()

        def counted(part: AnnotatedFrames) -> Iterator[PlainFrame]:
            for frame in part.frames():
                assert frame.image is not None, "parts give frames with their pictures"
                if frame.image.shape[:2] != frame.size:
                    raise FormatError(
                        f"{part.name}, frame {frame.frame}: the masks have (height, width) = {frame.size}, the picture "
                        f"{frame.image.shape[:2]}"
                    )
                yield frame
                built.frames += 1
                built.masks += sum(1 for item in frame.objects.values() if rle_area(rle_of(item)))

        for part in parts:
            progress(part.name)
            before = built.frames
            self.add(part, counted(part))
            if built.frames == before:
                raise FormatError(f"{part.name} has no annotated frames; leave it out, or track something in it first")
            built.videos += 1
        self.close()
        built.classes = self.classes or ["object"]
        return built

    def add(self, part: AnnotatedFrames, frames: Iterator[PlainFrame]) -> None:
        """Write a video."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what tells of all videos."""
        if self.list_folder:
            make_folder(self.out / self.list_folder)
            for split, names in self.lists.items():
                write_whole(self.out / self.list_folder / f"{split}.txt", "".join(f"{name}\n" for name in names))
        for split, content in self.content.items():
            file = self.out / self.json_path.format(split)
            make_folder(file.parent)
            whole = {**content, "categories": coco.categories(self.classes), "info": {"version": "1.0"}}
            write_whole(file, json.dumps(whole, allow_nan=False))

    def number(self, frame: PlainFrame, name: int | str) -> int:
        """Of an object's class. Raises FormatError if it is none of those that were given."""
        label = label_of(name, frame.descriptions.get(name))
        if label not in self.classes:
            if self.fixed:
                raise FormatError(f"object {name!r} is of the class {label!r}, and the classes are {self.classes}")
            self.classes.append(label)
        return self.classes.index(label)

    def picture(self, part: AnnotatedFrames, frame: PlainFrame, folder: Path, stem: str | None = None) -> str:
        """Write the picture of a frame into a folder of the data set; its file name."""
        make_folder(self.out / folder)
        given = part.facts.picture_name(frame.frame)
        source = part.pictures / given if part.pictures is not None else None
        name = given if stem is None else f"{stem}{Path(given).suffix}"
        target = self.out / folder / name
        with writing(target):
            if source is not None and source.exists() and stored_size(source) == frame.size:
                shutil.copyfile(source, target)
            else:
                with atomic_write(target) as temporary:
                    kind = Image.registered_extensions().get(target.suffix.lower(), "JPEG")
                    Image.fromarray(np.asarray(frame.image)).save(temporary, kind, quality=JPEG_QUALITY)
        return name


def stored_size(picture: Path) -> tuple[int, int] | None:
    """(height, width) of a file; None if it is shown turned or mirrored, which not every trainer does."""
    with Image.open(picture) as opened:
        turned = opened.getexif().get(ExifTags.Base.Orientation) in range(2, 9)
        return None if turned else (opened.height, opened.width)


class CocoLayout(WrittenLayout):
    """images/VIDEO/FRAME.jpg, and annotations/instances_SPLIT.json with `track_id`s of the whole data set."""

    json_path = "annotations/instances_{}.json"

    def __init__(self, out: Path, classes: Sequence[str] | None) -> None:
        super().__init__(out, classes)
        self.images, self.annotations, self.tracks = count(1), count(1), count(1)

    def add(self, part: AnnotatedFrames, frames: Iterator[PlainFrame]) -> None:
        content = self.content.setdefault(part.split, {"videos": [], "images": [], "annotations": [], "tracks": []})
        video = len(content["videos"]) + 1
        content["videos"].append({"id": video, "name": part.name})
        tracks: dict[int | str, int] = {}
        for frame in frames:
            place = {"id": next(self.images), "video_id": video}
            name = f"{part.name}/{self.picture(part, frame, Path('images') / part.name)}"
            content["images"].append({**coco.image(frame.frame, name, frame.size), **place})
            for key, item in frame.objects.items():
                if not rle_area(rle_of(item)):
                    continue
                category = self.number(frame, key) + 1
                said = frame.descriptions.get(key)
                if key not in tracks:
                    tracks[key] = next(self.tracks)
                    attributes = {"attributes": said.attributes} if said and said.attributes else {}
                    track = {"id": tracks[key], "name": f"{part.name}/{key}", "category_id": category}
                    content["tracks"].append(track | attributes)
                found = coco.annotation(frame.frame, tracks[key], category, item, said)
                content["annotations"].append({**found, "id": next(self.annotations), "image_id": place["id"]})


class YoloLayout(WrittenLayout):
    """images/SPLIT/VIDEO_FRAME.jpg, labels/SPLIT/VIDEO_FRAME.txt, and data.yaml, as Ultralytics reads it."""

    def add(self, part: AnnotatedFrames, frames: Iterator[PlainFrame]) -> None:
        make_folder(self.out / "labels" / part.split)
        for frame in frames:
            for key in frame.objects:
                self.number(frame, key)
            stem = f"{part.name}_{part.facts.stem(frame.frame)}"
            self.picture(part, frame, Path("images") / part.split, stem)
            numbers = {name: number for number, name in enumerate(self.classes)}
            write_whole(self.out / "labels" / part.split / f"{stem}.txt", yolo_lines(frame, numbers))

    def close(self) -> None:
        names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(self.classes))
        there = {split: f"images/{split}" for split in WRITTEN_SPLITS if (self.out / "images" / split).is_dir()}
        paths = "".join(f"{split}: {there.get(split) or next(iter(there.values()))}\n" for split in WRITTEN_SPLITS)
        write_whole(self.out / "data.yaml", f"path: .\n{paths}names:\n{names}")


class YtvisLayout(WrittenLayout):
    """SPLIT/JPEGImages/VIDEO/FRAME.jpg, and SPLIT/instances.json with all videos, as YouTube-VIS has it."""

    json_path = "{}/instances.json"

    def add(self, part: AnnotatedFrames, frames: Iterator[PlainFrame]) -> None:
        content = self.content.setdefault(part.split, {"videos": [], "annotations": []})
        video, names = len(content["videos"]) + 1, list[str]()
        seen: dict[int | str, dict[int, Rle]] = {}
        category: dict[int | str, int] = {}
        for frame in frames:
            if frame.size != part.facts.size:
                raise FormatError(
                    f"{part.name} has frames of (height, width) = {part.facts.size} and {frame.size}, and ytvis holds "
                    "videos of one size; take coco"
                )
            for key, item in frame.objects.items():
                if rle_area(rle_of(item)):
                    seen.setdefault(key, {})[len(names)] = rle_of(item)
                    category.setdefault(key, self.number(frame, key) + 1)
            names.append(self.picture(part, frame, Path(part.split) / "JPEGImages" / part.name))
        height, width = part.facts.size
        common = {"height": height, "width": width, "length": len(names)}
        files = [f"{part.name}/{name}" for name in names]
        content["videos"].append({"id": video, "name": part.name, "file_names": files, **common})
        for key, masks in seen.items():
            own = {"id": len(content["annotations"]) + 1, "video_id": video, "category_id": category[key], "iscrowd": 0}
            over_time = coco.over_time([masks.get(place) for place in range(len(names))])
            content["annotations"].append({**own, **common, **over_time})


class DavisLayout(WrittenLayout):
    """JPEGImages/480p/VIDEO/FRAME.jpg, Annotations/480p/VIDEO/FRAME.png, ImageSets/2017/SPLIT.txt."""

    list_folder = "ImageSets/2017"

    def add(self, part: AnnotatedFrames, frames: Iterator[PlainFrame]) -> None:
        self.lists[part.split].append(part.name)
        folder = self.out / "Annotations" / "480p" / part.name
        make_folder(folder)
        for frame in frames:
            name = self.picture(part, frame, Path("JPEGImages") / "480p" / part.name)
            write_index_png(folder / f"{Path(name).stem}.png", index_map(frame))


class VocLayout(WrittenLayout):
    """JPEGImages, SegmentationClass, SegmentationObject, all VIDEO_FRAME, ImageSets/Segmentation, and labelmap.txt."""

    list_folder = "ImageSets/Segmentation"

    def add(self, part: AnnotatedFrames, frames: Iterator[PlainFrame]) -> None:
        for frame in frames:
            stem = f"{part.name}_{part.facts.stem(frame.frame)}"
            self.picture(part, frame, Path("JPEGImages"), stem)
            objects, numbers = index_map(frame), np.zeros(256, np.uint8)
            for key in frame.objects:
                number = self.number(frame, key) + 1
                if number > MAX_INDEX:
                    raise FormatError(f"there are over {MAX_INDEX} classes, more than voc holds; take coco")
                numbers[frame.indices[key]] = number
            for folder, values in (("SegmentationObject", objects), ("SegmentationClass", numbers[objects])):
                make_folder(self.out / folder)
                write_index_png(self.out / folder / f"{stem}.png", values)
            self.lists[part.split].append(stem)

    def close(self) -> None:
        named = zip(["background", *self.classes], PALETTE.tolist(), strict=False)
        lines = "".join(f"{name}:{','.join(map(str, colour))}::\n" for name, colour in named)
        write_whole(self.out / "labelmap.txt", f"# label:color_rgb:parts:actions\n{lines}")
        super().close()


class FormatLayout(WrittenLayout):
    """images/VIDEO/FRAME.jpg, and in a format of one video each VIDEO.ENDING, or the folder annotations/VIDEO."""

    def __init__(self, out: Path, classes: Sequence[str] | None, name: str) -> None:
        super().__init__(out, classes)
        self.format = find_format(name)
        if self.format.video is None:
            raise FormatError(
                f"the format {name} holds single pictures; give one of {', '.join(LAYOUTS)}, or of videos"
            )

    def add(self, part: AnnotatedFrames, frames: Iterator[PlainFrame]) -> None:
        place = self.out if self.format.video else self.out / "annotations"
        make_folder(place)
        path = place / f"{part.name}{self.format.video}"
        own_sizes = part.facts.own_sizes and self.format.own_sizes
        with Writer(self.format.open, path, replace(part.facts, video=part.name, own_sizes=own_sizes)) as writer:
            for frame in frames:
                for key in frame.objects:
                    self.number(frame, key)
                self.picture(part, frame, Path("images") / part.name)
                writer.write(frame)


LAYOUTS: dict[str, type[WrittenLayout]] = {
    "coco": CocoLayout, "yolo": YoloLayout, "ytvis": YtvisLayout, "davis": DavisLayout, "voc": VocLayout,
}  # fmt: skip
"""Layouts of whole data sets; any other format that is written is laid beside the frames, one for each video."""
