"""Folders of frames beside folders of index PNGs: DAVIS, YouTube-VOS, MOSE, LVOS, and whatever is laid out like them;
and what other readers take of it: folders of frames and of masks, and lists of names, read with care.

ROOT/JPEGImages/VIDEO/00000.jpg      a frame; ROOT/SPLIT/JPEGImages where a data set has a folder for each split
ROOT/Annotations/VIDEO/00000.png     its mask; frames without one are not annotated
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from masklet.datasets.base import Clip, Dataset, IndexMasks, ObjectMasks, PlainMasks
from masklet.errors import FormatError
from masklet.formats.davis import open_png, read_index_png
from masklet.formats.json_file import entries, entry, listed_in, load_json
from masklet.media.image_file import IMAGE_SUFFIXES, files_in

PICTURES, ANNOTATIONS = "JPEGImages", "Annotations"

RESOLUTIONS = ("480p", "Full-Resolution")
"""Folders that DAVIS has between these and the videos; everybody reports 480p."""

SPLIT_FOLDERS = {"train": ("train", "train_all_frames"), "val": ("valid", "val", "valid_all_frames")}
"""Split -> the names of its folder, in data sets that have one for each."""

MAX_LISTED = 10
"""At most this many names stand in a message."""


def index_png(path: Path) -> ObjectMasks:
    """A PNG whose values are the objects; 255 is void."""
    return IndexMasks(read_index_png(path))


def whole_png(path: Path) -> ObjectMasks:
    """A PNG in which whatever is not 0 is the one object, number 1. So DAVIS-2016 is scored."""
    return object_pngs({1: path})


def object_pngs(paths: Mapping[int, Path]) -> ObjectMasks:
    """A PNG for each object, not 0 on the object; masks may overlap."""
    return PlainMasks({number: open_png(path) > 0 for number, path in paths.items()})


def name_below(file: Path, root: Path) -> str:
    """The name of a clip: its path below the folder of the data set, without an ending."""
    return "/".join(file.relative_to(root).with_suffix("").parts)


def folder_clip(
    name: str, frames: Path, masks: Path, read: Callable[[Path], ObjectMasks] = index_png, *, source: str = ""
) -> Clip:
    """A clip of a folder of frames and a folder of masks that have the names of their frames.

    Frames without a mask are not annotated. Raises FormatError for a mask without its frame.
    """
    pictures = frames_in(frames)
    annotations = {frame: partial(read, file) for frame, file in masks_of_frames(masks, pictures).items()}
    return Clip(name, pictures, annotations, source=source)


def frames_in(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder in natural order. Raises FormatError if there is none."""
    found = files_in(need_folder(folder, "the frames of a sequence"), IMAGE_SUFFIXES)
    if not found:
        raise FormatError(f"{folder} holds no pictures; expected the frames of a sequence, such as 00000.jpg")
    return tuple(found)


def masks_of_frames(folder: Path, frames: Sequence[Path]) -> dict[int, Path]:
    """Frame -> the PNG of that frame's name. Raises FormatError for PNGs whose frames are missing."""
    numbers = {frame.stem: number for number, frame in enumerate(frames)}
    masks = files_in(need_folder(folder, "the masks of a sequence"), (".png",))
    if lost := [mask.stem for mask in masks if mask.stem not in numbers]:
        raise FormatError(
            f"{folder} has masks of {first_names(lost)}, of which the frames are missing in {frames[0].parent}; "
            "complete the frames, or take the masks away"
        )
    return {numbers[mask.stem]: mask for mask in masks}


def need_folder(path: Path, what: str) -> Path:
    """The path, if it is a folder. Raises FormatError, which says what was looked for."""
    if not os.path.isdir(path):
        raise FormatError(f"there is no folder {path}, which should hold {what}; give the folder of the whole data set")
    return path


def subfolders(path: Path) -> list[str]:
    """The names of the folders in a folder, sorted, but for hidden ones. Raises FormatError if there is none."""
    names = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise FormatError(f"{path} is empty; expected a folder for each sequence")
    return names


def read_names(path: Path) -> list[str]:
    """The lines of a list of sequences, without empty ones, each once. Raises FormatError if there are none.

    DAVIS-2016 lists paths in place of names, those of a frame and its mask in a line: the names are taken from them.
    """
    lines = listed_in(path, "sequences")
    if lines[0].startswith("/JPEGImages/"):
        lines = [Path(line.split()[0]).parent.name for line in lines]
    return list(dict.fromkeys(lines))


def first_names(names: Iterable[object]) -> str:
    """Names for a message, the first ten."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - MAX_LISTED} more" if len(texts) > MAX_LISTED else ""
    return ", ".join(texts[:MAX_LISTED]) + more


@dataclass(frozen=True)
class FrameFolders:
    """One layout; a call reads a split of it. Raises FormatError for folders, lists and files that are missing."""

    name: str  # of the data set
    # the names of a split's videos, from the folder that holds both kinds of files, and the split
    names: Callable[[Path, str], list[str]]
    # the folder between these and the videos; None for the first of RESOLUTIONS that is there, or none
    resolution: str | None = None
    read: Callable[[Path], ObjectMasks] = index_png  # a mask's file

    def __call__(self, root: Path, split: str) -> Dataset:
        folder = split_folder(root, split)
        pictures, masks = (with_resolution(folder / part, self.resolution) for part in (PICTURES, ANNOTATIONS))
        source, names = folder.resolve().name, self.names(folder, split)
        clips = (folder_clip(name, pictures / name, masks / name, self.read, source=source) for name in names)
        return Dataset(self.name, split, tuple(clips))


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


def annotated_sequences(folder: Path, split: str) -> list[str]:
    return subfolders(with_resolution(folder / ANNOTATIONS))


def in_list(*lists: str) -> Callable[[Path, str], list[str]]:
    """The names in the first of these files that is there; {split} stands for the split."""

    def names(folder: Path, split: str) -> list[str]:
        files = [folder / name.format(split=split) for name in lists]
        if (file := next(filter(os.path.isfile, files), None)) is None:
            raise FormatError(
                f"there is no file {files[0]}, the list of sequences; give the folder of the whole data set"
            )
        return read_names(file)

    return names


def in_newest_list(folder: Path, split: str) -> list[str]:
    """The videos with masks that the newest list in ImageSets names; all of them where there is no list."""
    names = annotated_sequences(folder, split)
    if lists := sorted(folder.glob(f"ImageSets/*/{split}.txt"), key=lambda f: (f.parent.name.isdecimal(), f)):
        chosen = set(read_names(lists[-1]))
        return [name for name in names if name in chosen]
    if others := sorted(folder.glob("ImageSets/*/*.txt")):
        raise FormatError(f"{folder} lists no split {split!r}, but {others[-1]}; give another folder, or add the list")
    return names


def open_youtube_vos(root: Path, split: str) -> Dataset:
    """The videos that meta.json names. It says when objects enter, and their groups: "seen" are those whose category is
    in the meta.json of the split train beside it, where that is there."""
    folder = split_folder(root, split)
    meta, known = folder / "meta.json", folder.parent / "train/meta.json"
    if not (videos := read_meta(meta)):
        raise FormatError(f"{meta} is empty; give one that names the videos")
    others = read_meta(known).values() if os.path.isfile(known) else ()
    seen = {item.get("category") for video in others for item in video["objects"].values()} - {None}

    def with_objects(clip: Clip) -> Clip:
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

    dataset = FrameFolders("ytvos", lambda folder, split: sorted(videos))(root, split)
    return replace(dataset, clips=tuple(map(with_objects, dataset.clips)))


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
MOSE = FrameFolders("mose", annotated_sequences)
LVOS = FrameFolders("lvos", annotated_sequences)
ANY_FRAMES = FrameFolders("frames", in_newest_list)
