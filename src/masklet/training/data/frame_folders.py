"""DAVIS, YouTube-VOS and MOSE: `JPEGImages/VIDEO/*.jpg` beside `Annotations/VIDEO/*.png`, one palette PNG a frame.

Frames without an annotation are passed over: YouTube-VOS has one for every fifth frame.
"""

from __future__ import annotations

from pathlib import Path

from masklet.errors import FormatError
from masklet.media.image_file import IMAGE_SUFFIXES
from masklet.training.data.items import Collection, IndexPng, Item, PictureFiles

PICTURES, ANNOTATIONS = "JPEGImages", "Annotations"

RESOLUTIONS = ("480p", "Full-Resolution")
"""Folders that DAVIS has between these and the videos; the first that is there is taken."""


SPLIT_FOLDERS = {"train": ("train", "train_all_frames"), "val": ("val", "valid", "valid_all_frames")}
"""Folders of a data set that hold one split each."""


def find_root(root: Path, split: str = "train") -> Path | None:
    """The folder that holds both kinds of files: `root`, or its part for the split. None if there is none."""
    for folder in (root, *(root / name for name in SPLIT_FOLDERS.get(split, (split,)))):
        if (folder / PICTURES).is_dir() and (folder / ANNOTATIONS).is_dir():
            return folder
    return None


def read_frame_folders(root: Path, *, split: str = "train") -> list[Collection]:
    """One collection of the videos of `ImageSets/*/SPLIT.txt`; of all videos where there are no lists.

    Raises FormatError if there are other splits only, and for a mask without its picture.
    """
    base = find_root(root, split)
    if base is None:
        raise FormatError(
            f"{root} has no folder of the split {split!r}; make {SPLIT_FOLDERS.get(split, (split,))[0]}, or give the "
            f"folder that holds {PICTURES} and {ANNOTATIONS}"
        )
    pictures, annotations = (_with_resolution(base / name) for name in (PICTURES, ANNOTATIONS))
    chosen = _listed(base, split)
    videos = sorted(folder for folder in annotations.iterdir() if folder.is_dir())
    items = [
        paired(folder.name, pictures / folder.name, folder)
        for folder in videos
        if chosen is None or folder.name in chosen
    ]
    return [Collection(base.resolve().name, [item for item in items if item.frames], float(len(items)))]


def _with_resolution(folder: Path) -> Path:
    return next((folder / name for name in RESOLUTIONS if (folder / name).is_dir()), folder)


def _listed(base: Path, split: str) -> set[str] | None:
    lists = sorted(base.glob(f"ImageSets/*/{split}.txt"))
    if lists:
        return set(lists[-1].read_text(encoding="utf-8").split())  # the newest year
    if others := sorted(base.glob("ImageSets/*/*.txt")):
        raise FormatError(f"{base} lists no split {split!r}, but {others[-1]}; give another folder, or add the list")
    return None


def paired(name: str, pictures: Path, annotations: Path) -> Item:
    """A video whose pictures and masks have the same names. Raises FormatError for a mask without its picture."""
    files = {file.stem: file for file in pictures.glob("*") if file.suffix.lower() in IMAGE_SUFFIXES}
    maps = sorted(annotations.glob("*.png"))
    for file in maps:
        if file.stem not in files:
            raise FormatError(
                f"{file} is the mask of a frame that is not in {pictures}; give the picture too, or remove the mask"
            )
    return Item(name, PictureFiles([files[file.stem] for file in maps]), tuple(IndexPng(file) for file in maps))
