"""Your own data: a folder with index.csv, masks beside pictures and videos, project files, pictures without masks; and
the first in one small file, a pack, to travel to a machine that has nothing else.

dog.jpg  dog.png                 a picture, and its mask: an index PNG
run.mp4  run/00000.png ...       a video, and the masks of its frames, which count from 0
run      run.masks/00000.png     a video that is a folder of pictures, and masks with the pictures' names; by index.csv
"""

import atexit
import csv
import io
import os
import shutil
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, changed_at
from masklet.datasets.base import Clip, Dataset, IndexMasks, Labelled, ObjectMasks, RleMasks
from masklet.datasets.coco import find_picture
from masklet.datasets.frame_folders import first_names, folder_clip, index_png, name_below, need_folder
from masklet.errors import DAMAGED, FormatError
from masklet.formats.base import Facts, Format, ObjectId, PlainFrame, rle_of
from masklet.formats.coco import picture_files
from masklet.formats.davis import masks_in_png, numbered_files
from masklet.formats.description import NO_LABEL, label_of
from masklet.formats.project_file import Project, read_project, video_of
from masklet.formats.registry import read_masks, recognise_format, under_names
from masklet.masks.rle import rle_area
from masklet.media.image_file import IMAGE_SUFFIXES, read_image
from masklet.media.source import open_video

INDEX_FILE = "index.csv"

INDEX_COLUMNS = ("kind", "path", "masks", "split")
"""The columns of index.csv: image or video; the file; a PNG, or a folder of them; train or val."""

FURTHER_COLUMNS = ("group", "source")
"""Columns that may be there: the licence, such as open or research; and where it is from."""

WANTED = f"give a CSV with the columns {', '.join(INDEX_COLUMNS)}, and {' and '.join(FURTHER_COLUMNS)} for training"

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")

PACK_SUFFIX = ".pack"
"""The ending of a pack, a zip with a folder of index.csv inside: WebP, H.264, and index PNGs."""

PACK_RATE = 24
"""Frames a second of videos in a pack; training does not look at it."""

FRAMES_AT_ONCE = 32
"""Frames of a video that are in memory at once while it is packed."""

Row = dict[str, str]


def has_index(path: Path) -> bool:
    """Whether a path is a folder with index.csv, or a pack of one."""
    return is_pack(path) or os.path.isfile(path / INDEX_FILE)


def is_pack(path: Path) -> bool:
    return os.path.isfile(path) and path.suffix == PACK_SUFFIX


@cache
def unpacked(path: Path, _: int) -> Path:
    """A folder with a pack's files, as of its last change, for as long as this process runs. Raises FormatError if the
    pack is damaged."""
    folder = Path(tempfile.mkdtemp(prefix="masklet-pack-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as members:
            members.extractall(folder)
    except (*DAMAGED, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"{path.name} cannot be unpacked: {str(error)[:200]}; give another copy") from error
    return folder


def open_index(root: Path, split: str) -> Dataset:
    """The rows of index.csv of a split. Raises FormatError for a damaged table, and for files that are missing."""
    root = unpacked(root, changed_at(root)) if is_pack(root) else root
    return Dataset("folder", split, tuple(clip_of(root, row) for row in read_rows(root, split)))


def open_folder(root: Path, split: str) -> Dataset:
    """The same, or, where there is no index.csv, the pictures and videos that have masks beside them."""
    need_folder(root, "pictures or videos with masks")
    if has_index(root):
        return open_index(root, split)
    rows = [
        {"kind": kind, "path": str(file.relative_to(root)), "masks": str(masks.relative_to(root)), "split": split}
        for kind, suffixes, ending in (("image", PICTURE_SUFFIXES, ".png"), ("video", VIDEO_ENDINGS, ""))
        for file in sorted(f for f in root.rglob("*") if f.suffix.lower() in suffixes)
        if (masks := file.with_suffix(ending)).exists()
    ]
    return Dataset("folder", split, tuple(clip_of(root, row) for row in rows))


def read_rows(root: Path, split: str) -> list[Row]:
    """The rows of index.csv of a split, with all columns. Raises FormatError if it cannot be read or lacks a value, and
    if files are missing that it names."""
    path = root / INDEX_FILE
    if not os.path.isfile(path):
        raise FormatError(f"there is no {INDEX_FILE} in {root}; {WANTED}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a byte-order mark before it
            table = csv.DictReader(file)
            rows, columns = list(table), table.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read: {error}; {WANTED}") from error
    if missing := [column for column in INDEX_COLUMNS if column not in columns]:
        raise FormatError(f"{path} lacks the column {missing[0]!r}; {WANTED}")
    for number, row in enumerate(rows, start=1):
        if missing := [column for column in columns if row[column] is None]:
            raise FormatError(f"row {number} of {path} lacks {missing[0]!r}; {WANTED}")
        if not Path(row["path"]).name:
            raise FormatError(f"row {number} of {path} has the path {row['path']!r}, which names no file; {WANTED}")
    wanted = [{"group": "", "source": root.resolve().name, **row} for row in rows if row["split"] == split]
    if lost := [root / row[key] for row in wanted for key in ("path", "masks") if not os.path.exists(root / row[key])]:
        raise FormatError(f"{len(lost)} files of {root} are missing: {first_names(lost)}; complete them")
    return wanted


def clip_of(root: Path, row: Row) -> Clip:
    """The picture or video of a row. Raises FormatError for a video without masks, and for masks without a picture."""
    path, masks, name = root / row["path"], root / row["masks"], _name(row["path"])
    source, licence = row.get("source", ""), row.get("group") or None
    if row["kind"] == "image":
        return Clip(name, (path,), {0: partial(index_png, masks)}, "image", source, licence)
    if path.is_dir():
        return replace(folder_clip(name, path, masks, source=source), licence=licence)
    if not masks.is_dir() or not (files := numbered_files(masks)):
        raise FormatError(f"{masks} holds no masks; expected index PNGs such as 00000.png")
    annotations = {frame: partial(index_png, file) for frame, file in files.items()}
    return Clip(name, path, annotations, "video", source, licence)


def _name(path: str) -> str:
    """The path without its ending and without a leading images/ or videos/."""
    parts = Path(path).with_suffix("").parts
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] in ("images", "videos") else parts)


@dataclass(frozen=True)
class PackOptions:
    """How small it becomes."""

    longest: int = 384  # longest side of pictures and videos in pixels
    quality: int = 34  # of WebP, 0 to 100
    split: str = "train"  # the rows that are packed
    factor: int = 27  # of H.264, its constant rate factor: more is smaller


def write_pack(
    root: Path, path: Path, options: PackOptions, report: Callable[[int, int], None] = lambda done, of: None
) -> int:
    """Pack a folder of the index-PNG layout; returns the bytes of the pack.

    report  is called with how many rows are done, of how many
    """
    if path.suffix != PACK_SUFFIX:
        raise FormatError(f"{path} does not end in {PACK_SUFFIX}; give a name that does")
    if not (rows := read_rows(root, options.split)):
        raise FormatError(f"{root / INDEX_FILE} has no rows of the split {options.split!r}; there is nothing to pack")
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as members:
        packed: dict[tuple[str, str], Row] = {}
        for number, row in enumerate(rows, start=1):
            place = Path(row["path"]).with_suffix("")
            name = "/".join(part for part in place.parts if part not in (place.anchor, ".."))  # it lies in the pack
            if (row["kind"], name) in packed:
                name = f"{name}-{number}"
            packed[row["kind"], name] = _pack_row(root, row, name, members, options)
            report(number, len(rows))
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, INDEX_COLUMNS + FURTHER_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(packed.values())
        members.writestr(INDEX_FILE, table.getvalue())
    return path.stat().st_size


def _pack_row(root: Path, row: Row, name: str, members: zipfile.ZipFile, options: PackOptions) -> Row:
    """Pack the picture or the video of a row, of which only the annotated frames are learned from; its row there."""
    clip = clip_of(root, row)
    (first,) = clip.read(clip.annotated[:1])
    size = _shrunk(first.masks.size, options.longest, even=clip.kind == "video")
    if clip.kind == "image":
        content = io.BytesIO()
        image = Image.fromarray(_resized(first.image, size, cv2.INTER_AREA))
        image.save(content, "WEBP", quality=options.quality, method=6)
        members.writestr(f"{name}.webp", content.getvalue())
        members.writestr(f"{name}.png", _png(first, size))
        return {**row, "path": f"{name}.webp", "masks": f"{name}.png"}

    def images() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(clip.annotated), FRAMES_AT_ONCE):
            for number, frame in enumerate(clip.read(clip.annotated[start : start + FRAMES_AT_ONCE]), start):
                members.writestr(f"{name}/{number:05d}.png", _png(frame, size))
                yield _resized(frame.image, size, cv2.INTER_AREA)

    members.writestr(f"{name}.mp4", _film(images(), size, options.factor))
    return {**row, "path": f"{name}.mp4", "masks": name}


def _film(images: Iterator[NDArray[np.uint8]], size: tuple[int, int], factor: int) -> bytes:
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=PACK_RATE, options={"crf": str(factor), "preset": "slow"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return content.getvalue()


def _png(frame: Labelled, size: tuple[int, int]) -> bytes:
    assert isinstance(frame.masks, IndexMasks), "the index-PNG layout has index maps"
    labels, content = _resized(frame.masks.labels, size, cv2.INTER_NEAREST), io.BytesIO()
    Image.fromarray(labels).save(content, "PNG", optimize=True)
    return content.getvalue()


def _shrunk(size: tuple[int, ...], longest: int, *, even: bool) -> tuple[int, int]:
    """(height, width), at most so long; H.264 wants even sides."""
    scale = min(1.0, longest / max(size))
    unit = 2 if even else 1
    height, width = (max(unit, round(side * scale / unit) * unit) for side in size)
    return height, width


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int], how: int) -> NDArray[np.uint8]:
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=how), np.uint8)


def find_projects(root: Path) -> list[Path]:
    """The project files at a path: the file itself, or those under a folder."""
    if os.path.isfile(root):
        return [root] if root.suffix == ".masklet" else []
    return sorted(root.rglob("*.masklet"))


def open_projects(root: Path, split: str) -> Dataset:
    """One video for each project file, of whatever split; objects have the numbers of index maps.

    Raises FormatError if a project is damaged or holds no masks, or its video is not there.
    """
    paths = find_projects(root)
    if not paths:
        raise FormatError(f"there is no .masklet file at {root}; give one, or a folder that holds some")
    clips = []
    for path in paths:
        project = read_project(path)
        if not project.frames:
            raise FormatError(f"{path.name} holds no masks; propagate first, or leave it out")
        name = path.stem if path == root else name_below(path, root)
        annotations = {frame: partial(project_masks, project, frame) for frame in project.frames}
        clips.append(Clip(name, video_of(project, path), annotations, source=root.resolve().name))
    return Dataset("project", split, tuple(clips))


def project_masks(project: Project, frame: int) -> ObjectMasks:
    found = project.frames[frame].objects
    return RleMasks({project.indices[name]: mask.rle for name, mask in found.items()}, project.size)


def pictures_under(root: Path) -> list[Path]:
    return sorted(file for file in root.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)


def open_pictures(root: Path, split: str) -> Dataset:
    """Pictures without masks, to learn the regions that are found in them."""
    source, files = root.resolve().name, pictures_under(need_folder(root, "pictures"))
    return Dataset("pictures", split, tuple(Clip(_name(file.name), (file,), {}, "image", source) for file in files))


ReadPicture = Callable[[int], NDArray[np.uint8]]
"""The picture of a frame, uint8 (H, W, 3). Raises MediaError or FormatError if it cannot be read."""


@contextmanager
def pictures_of(path: Path, entry: Format, given: Path | None) -> Iterator[tuple[list[PlainFrame], ReadPicture]]:
    """The frames of a file or folder of masks of a format, and their pictures. A COCO file names its pictures, and a
    project file its video; `given` is the folder of COCO's pictures, or the video or pictures of any other format.

    Raises FormatError if nothing says where the pictures are.
    """
    frames = read_masks(entry.name, path)
    if entry.name == "coco" and (given is None or given.is_dir()):
        names = picture_files(path)
        yield list(frames), lambda frame: read_image(_named(path, names[frame], given))
        return
    if given is None and entry.name != "project":
        raise FormatError(f"{path.name} does not say where its pictures are; give them too")
    video = given or video_of(read_project(path), path)
    with open_video(video) as source:
        facts = Facts(source.size, names=source.names, video=str(video))
        yield list(under_names(frames, path, entry, facts)), lambda frame: source.read(frame).image


def _named(path: Path, name: str, folder: Path | None) -> Path:
    found = find_picture(path, Path(name)) if folder is None else folder / name
    if not name or found is None or not found.is_file():
        place = path.parent if folder is None else folder
        raise FormatError(f"{path.name} names the picture {name!r}, which is not in {place}; give their folder")
    return found


ChooseFrames = Callable[[Mapping[int, int]], Sequence[int]]
"""Picks of the places of frames, with the areas of a mask there."""

FRAMES_AT_MOST = 5
"""So many masks of an object are looked at, evenly apart."""


def evenly(areas: Mapping[int, int]) -> Sequence[int]:
    """Places evenly apart."""
    return list(areas)[:: -(-len(areas) // FRAMES_AT_MOST)]


def looked_at(frames: Sequence[PlainFrame], pick: ChooseFrames = evenly) -> Iterator[tuple[PlainFrame, list[ObjectId]]]:
    """Frames, and the objects that are looked at there: each on those frames that are picked of where it is seen."""
    seen: dict[ObjectId, dict[int, int]] = defaultdict(dict)
    for place, frame in enumerate(frames):
        for known, item in frame.objects.items():
            if area := rle_area(rle_of(item)):
                seen[known][place] = area
    chosen: dict[int, list[ObjectId]] = defaultdict(list)
    for known, areas in seen.items():
        for place in pick(areas):
            chosen[place].append(known)
    return ((frames[place], chosen[place]) for place in sorted(chosen))


def examples_in(path: Path) -> dict[str, list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]]:
    """The things that are marked in a file, by name, each in some pictures: the picture and the mask.

    The file is a picture with a PNG of masks beside it (dog.jpg, dog.png), which gives the name; a project file with
    its video; or a COCO file with its pictures, where all masks of a class are of one thing.

    Raises FormatError if there is no such file, or no mask in it, MediaError for a picture that cannot be read.
    """
    found: dict[str, list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]] = defaultdict(list)
    if not path.is_file():
        raise FormatError(
            f"there is no file at {path}; give a picture with its mask beside it (dog.jpg, dog.png), or a file with "
            "masks (dog.json of COCO, session.masklet)"
        )
    if path.suffix.lower() in PICTURE_SUFFIXES:
        beside = path.with_suffix(".png")
        if not beside.is_file():
            raise FormatError(f"{path} has no mask beside it; give one in {beside.name}, white on the thing")
        image = read_image(path)
        masks = masks_in_png(beside)
        for number, mask in masks.items():
            if mask.shape != image.shape[:2]:
                (rows, columns), (height, width) = mask.shape, image.shape[:2]
                raise FormatError(f"{beside} is {columns} x {rows} pixels, and {path.name} {width} x {height}; mend it")
            if mask.any():
                found[path.stem if len(masks) == 1 else f"{path.stem} {number}"].append((image, mask))
    else:
        entry = None if path.suffix.lower() == ".png" else recognise_format(path)
        if entry is None or entry.name not in ("coco", "project"):
            raise FormatError(f"{path} holds masks without a picture; give the picture (.jpg), with its mask beside it")
        with pictures_of(path, entry, None) as (frames, look):
            for frame, objects in looked_at(frames):
                image = look(frame.frame)
                for known in objects:
                    label = label_of(known, frame.descriptions.get(known))
                    name = str(known) if label == NO_LABEL and entry.name != "coco" else label
                    found[name].append((image, frame.objects[known].mask))
    if not found:
        raise FormatError(f"{path} holds no mask; mark the thing that is to be found")
    return found
