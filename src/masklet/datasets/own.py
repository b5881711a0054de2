"""Your own data: a folder with index.csv, masks beside pictures and videos, project files, pictures without masks.

dog.jpg  dog.png                 a picture, and its mask: an index PNG
run.mp4  run/00000.png ...       a video, and the masks of its frames, which count from 0
run      run.masks/00000.png     a video that is a folder of pictures, and masks with the pictures' names; by index.csv
"""

import atexit
import csv
import os
import shutil
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, Dataset, ObjectMasks, RleMasks
from masklet.datasets.coco import find_picture
from masklet.datasets.files import folder_clip, index_png, listed, name_below, need_folder
from masklet.errors import FormatError
from masklet.formats.base import Format, ObjectId, PlainFrame, rle_of
from masklet.formats.coco import picture_files
from masklet.formats.davis import masks_in_png, numbered_files
from masklet.formats.description import NO_LABEL, label_of
from masklet.formats.project_file import Project, read_project, video_of
from masklet.formats.registry import read_masks, recognise_format
from masklet.masks.rle import rle_area
from masklet.media.image_file import IMAGE_SUFFIXES, read_image
from masklet.media.source import open_video

INDEX = "index.csv"

INDEX_COLUMNS = ("kind", "path", "masks", "split")
"""The columns of index.csv: image or video; the file; a PNG, or a folder of them; train or val."""

FURTHER_COLUMNS = ("group", "source")
"""Columns that may be there: the licence, such as open or research; and where it is from."""

WANTED = f"give a CSV with the columns {', '.join(INDEX_COLUMNS)}, and {' and '.join(FURTHER_COLUMNS)} for training"

PICTURES = (".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")

SUFFIX = ".pack"
"""The ending of a folder with index.csv in one file; see `masklet.datasets.pack`."""

Row = dict[str, str]


def has_index(path: Path) -> bool:
    """Whether a path is a folder with index.csv, or a pack of one."""
    return is_pack(path) or os.path.isfile(path / INDEX)


def is_pack(path: Path) -> bool:
    return os.path.isfile(path) and path.suffix == SUFFIX


@cache
def unpacked(path: Path) -> Path:
    """A folder with a pack's files, for as long as this process runs. Raises FormatError if the pack is damaged."""
    folder = Path(tempfile.mkdtemp(prefix="masklet-pack-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as members:
            members.extractall(folder)
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(f"{path.name} cannot be unpacked: {error}; give another copy") from error
    return folder


def open_index(root: Path, split: str) -> Dataset:
    """The rows of index.csv of a split. Raises FormatError for a damaged table, and for files that are missing."""
    root = unpacked(root) if is_pack(root) else root
    return Dataset("folder", split, tuple(clip_of(root, row) for row in read_rows(root, split)))


def open_folder(root: Path, split: str) -> Dataset:
    """The same, or, where there is no index.csv, the pictures and videos that have masks beside them."""
    need_folder(root, "pictures or videos with masks")
    if has_index(root):
        return open_index(root, split)
    rows = [
        {"kind": kind, "path": str(file.relative_to(root)), "masks": str(masks.relative_to(root)), "split": split}
        for kind, suffixes, ending in (("image", PICTURES, ".png"), ("video", VIDEOS, ""))
        for file in sorted(f for f in root.rglob("*") if f.suffix.lower() in suffixes)
        if (masks := file.with_suffix(ending)).exists()
    ]
    return Dataset("folder", split, tuple(clip_of(root, row) for row in rows))


def read_rows(root: Path, split: str) -> list[Row]:
    """The rows of index.csv of a split, with all columns. Raises FormatError if it cannot be read or lacks a value, and
    if files are missing that it names."""
    path = root / INDEX
    if not os.path.isfile(path):
        raise FormatError(f"there is no {INDEX} in {root}; {WANTED}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
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
        raise FormatError(f"{len(lost)} files of {root} are missing: {listed(lost)}; complete them")
    return wanted


def clip_of(root: Path, row: Row) -> Clip:
    """The picture or video of a row. Raises FormatError for a video without masks, and for masks without a picture."""
    path, masks, name = root / row["path"], root / row["masks"], _name(row["path"])
    source, licence = row.get("source", ""), row.get("group") or None
    if row["kind"] == "image":
        return Clip(name, (path,), {0: partial(index_png, masks)}, "image", source, licence)
    if path.is_dir():
        clip = folder_clip(name, path, masks)
        return Clip(name, clip.video, clip.annotations, "video", source, licence)
    if not masks.is_dir() or not (files := numbered_files(masks)):
        raise FormatError(f"{masks} holds no masks; expected index PNGs such as 00000.png")
    annotations = {frame: partial(index_png, file) for frame, file in files.items()}
    return Clip(name, path, annotations, "video", source, licence)


def _name(path: str) -> str:
    """The path without its ending and without a leading images/ or videos/."""
    parts = Path(path).with_suffix("").parts
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] in ("images", "videos") else parts)


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


Look = Callable[[int], NDArray[np.uint8]]
"""The picture of a frame, uint8 (H, W, 3). Raises MediaError or FormatError if it cannot be read."""


@contextmanager
def pictures_of(path: Path, entry: Format, given: Path | None) -> Iterator[Look]:
    """The pictures of a file or folder of masks of a format. A COCO file names its pictures, and a project file its
    video; `given` is the folder of COCO's pictures, or the video or pictures of any other format, by number.

    Raises FormatError if nothing says where the pictures are.
    """
    if entry.name == "coco" and (given is None or given.is_dir()):
        names = picture_files(path)
        yield lambda frame: read_image(_named(path, names[frame], given))
        return
    if given is None and entry.name != "project":
        raise FormatError(f"{path.name} does not say where its pictures are; give them too")
    with open_video(given or video_of(read_project(path), path)) as source:
        yield lambda frame: source.read(frame).image


def _named(path: Path, name: str, folder: Path | None) -> Path:
    found = find_picture(path, Path(name)) if folder is None else folder / name
    if not name or found is None or not found.is_file():
        place = path.parent if folder is None else folder
        raise FormatError(f"{path.name} names the picture {name!r}, which is not in {place}; give their folder")
    return found


Chosen = Callable[[Mapping[int, int]], Sequence[int]]
"""Picks of the places of frames, with the areas of a mask there."""

FRAMES_AT_MOST = 5
"""So many masks of an object are looked at, evenly apart."""


def evenly(areas: Mapping[int, int]) -> Sequence[int]:
    """Places evenly apart."""
    return list(areas)[:: -(-len(areas) // FRAMES_AT_MOST)]


def looked_at(frames: Sequence[PlainFrame], pick: Chosen = evenly) -> Iterator[tuple[PlainFrame, list[ObjectId]]]:
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
    if path.suffix.lower() in PICTURES:
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
        with pictures_of(path, entry, None) as look:
            for frame, objects in looked_at(list(read_masks(entry.name, path))):
                image = look(frame.frame)
                for known in objects:
                    label = label_of(known, frame.descriptions.get(known))
                    name = str(known) if label == NO_LABEL and entry.name != "coco" else label
                    found[name].append((image, frame.objects[known].mask))
    if not found:
        raise FormatError(f"{path} holds no mask; mark the thing that is to be found")
    return found
