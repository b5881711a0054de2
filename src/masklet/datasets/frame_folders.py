"""Folders of frames beside folders of index PNGs: DAVIS, YouTube-VOS, MOSE, LVOS, and whatever is laid out like them.

ROOT/JPEGImages/VIDEO/00000.jpg      a frame; ROOT/SPLIT/JPEGImages where a data set has a folder for each split
ROOT/Annotations/VIDEO/00000.png     its mask; frames without one are not annotated
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from masklet.datasets.base import Clip, Dataset, ObjectMasks
from masklet.datasets.files import folder_clip, index_png, need_file, need_folder, read_names, subfolders, whole_png
from masklet.errors import FormatError
from masklet.formats.json_file import entries, entry, load_json

PICTURES, ANNOTATIONS = "JPEGImages", "Annotations"

RESOLUTIONS = ("480p", "Full-Resolution")
"""Folders that DAVIS has between these and the videos; everybody reports 480p."""

SPLIT_FOLDERS = {"train": ("train", "train_all_frames"), "val": ("valid", "val", "valid_all_frames")}
"""Split -> the names of its folder, in data sets that have one for each."""


@dataclass(frozen=True)
class FrameFolders:
    """One layout; a call reads a split of it. Raises FormatError for folders, lists and files that are missing."""

    name: str  # of the data set
    # the names of a split's videos, from the folder that holds both kinds of files, and the split
    names: Callable[[Path, str], list[str]]
    # the folder between these and the videos; None for the first of RESOLUTIONS that is there, or none
    resolution: str | None = None
    read: Callable[[Path], ObjectMasks] = index_png  # a mask's file
    # what adds to a clip that is read, made from the folder
    finish: Callable[[Path], Callable[[Clip], Clip]] = lambda folder: lambda clip: clip

    def __call__(self, root: Path, split: str) -> Dataset:
        folder = split_folder(root, split)
        pictures, masks = (with_resolution(folder / part, self.resolution) for part in (PICTURES, ANNOTATIONS))
        source = folder.resolve().name
        names = self.names(folder, split)
        clips = [folder_clip(name, pictures / name, masks / name, self.read, source=source) for name in names]
        return Dataset(self.name, split, tuple(map(self.finish(folder), clips)))


def split_folder(root: Path, split: str) -> Path:
    """The folder of a split: the root's part for it, or the root itself. Raises FormatError if neither is there."""
    need_folder(root, f"{PICTURES} and {ANNOTATIONS}")
    names = SPLIT_FOLDERS.get(split, (split,))
    for folder in (*(root / name for name in names), root):
        if holds_both(folder):
            return folder
    raise FormatError(
        f"{root} holds no {PICTURES} and {ANNOTATIONS} of the split {split!r}; make {root / names[0]}, or give the "
        "folder that holds both"
    )


def holds_both(folder: Path) -> bool:
    return os.path.isdir(folder / PICTURES) and os.path.isdir(folder / ANNOTATIONS)


def is_frame_folders(path: Path) -> bool:
    """Whether a path is laid out so, as a whole or for any split."""
    return any(map(holds_both, (path, *(path / name for names in SPLIT_FOLDERS.values() for name in names))))


def with_resolution(folder: Path, wanted: str | None = None) -> Path:
    """The folder in which the videos lie."""
    return folder / (wanted or next((name for name in RESOLUTIONS if os.path.isdir(folder / name)), ""))


def annotated(folder: Path, split: str) -> list[str]:
    return subfolders(with_resolution(folder / ANNOTATIONS))


def in_list(*lists: str) -> Callable[[Path, str], list[str]]:
    """The names in the first of these files that is there; {split} stands for the split."""

    def names(folder: Path, split: str) -> list[str]:
        files = [folder / name.format(split=split) for name in lists]
        return read_names(need_file(next(filter(os.path.isfile, files), files[0]), "the list of sequences"))

    return names


def in_newest_list(folder: Path, split: str) -> list[str]:
    """The videos with masks that the newest list in ImageSets names; all of them where there is no list."""
    names = annotated(folder, split)
    if lists := sorted(folder.glob(f"ImageSets/*/{split}.txt"), key=lambda f: (f.parent.name.isdecimal(), f)):
        chosen = set(read_names(lists[-1]))
        return [name for name in names if name in chosen]
    if others := sorted(folder.glob("ImageSets/*/*.txt")):
        raise FormatError(f"{folder} lists no split {split!r}, but {others[-1]}; give another folder, or add the list")
    return names


def in_meta(folder: Path, split: str) -> list[str]:
    if not (names := sorted(read_meta(folder / "meta.json"))):
        raise FormatError(f"{folder / 'meta.json'} is empty; give one that names the videos")
    return names


def with_meta(folder: Path) -> Callable[[Clip], Clip]:
    """Adds when objects enter, from meta.json, and their groups: "seen" are those whose category is in the
    meta.json of the split train beside it, where that is there."""
    videos, known = read_meta(folder / "meta.json"), folder.parent / "train/meta.json"
    others = read_meta(known).values() if os.path.isfile(known) else ()
    seen = {item.get("category") for video in others for item in video["objects"].values()} - {None}

    def add(clip: Clip) -> Clip:
        assert isinstance(clip.video, tuple), "a folder of frames"
        numbers = {clip.stem(frame): frame for frame in range(len(clip.video))}
        enters: dict[int, int] = {}
        groups: dict[int, str] = {}
        for key, item in videos[clip.name]["objects"].items():
            frames = entries(item, "frames", str, "meta.json")
            if not key.isdecimal() or not frames or frames[0] not in numbers:
                where = frames[0] if frames else "no frame"
                raise FormatError(f"meta.json lets object {key} of {clip.name} enter in {where}, which is missing")
            enters[int(key)] = numbers[frames[0]]
            if seen:
                groups[int(key)] = "seen" if item.get("category") in seen else "unseen"
        return replace(clip, enters=enters, groups=groups)

    return add


def read_meta(path: Path) -> dict[str, dict[str, Any]]:
    """The videos of a meta.json, each with its "objects". Raises FormatError."""
    found = entry(load_json(path), "videos", dict, path.name)
    for name in found:
        for item in entry(entry(found, name, dict, path.name), "objects", dict, path.name).values():
            entry({name: item}, name, dict, path.name)
    return found


DAVIS_2016 = FrameFolders(
    "davis2016", in_list("ImageSets/2016/{split}.txt", "ImageSets/480p/{split}.txt"), RESOLUTIONS[0], whole_png
)
DAVIS_2017 = FrameFolders("davis2017", in_list("ImageSets/2017/{split}.txt"), RESOLUTIONS[0])
YOUTUBE_VOS = FrameFolders("ytvos", in_meta, finish=with_meta)
MOSE = FrameFolders("mose", annotated)
LVOS = FrameFolders("lvos", annotated)
ANY = FrameFolders("frames", in_newest_list)
