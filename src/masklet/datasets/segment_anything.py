"""SA-V, of which the validation split has folders of PNGs, and training one or two JSONs beside each video; and SA-1B,
a JSON beside each picture."""

import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from masklet.datasets.base import Clip, Dataset, ObjectMasks, RleMasks
from masklet.datasets.frame_folders import (
    frames_in,
    masks_of_frames,
    name_below,
    need_folder,
    object_pngs,
    read_names,
    subfolders,
)
from masklet.errors import FormatError
from masklet.formats.json_file import entries, entry, load_json, record_size
from masklet.masks.rle import rle_from_json

PICTURES, ANNOTATIONS = "JPEGImages_24fps", "Annotations_6fps"

SAV_STRIDE = 4
"""SA-V's masks are those of every fourth frame: 6 a second in videos of 24."""

ANNOTATION_ENDINGS = ("_manual.json", "_auto.json")
"""Objects that people marked, and objects that the model found; manual ones are taken where both are there."""


def is_sav(path: Path) -> bool:
    """Whether a path holds SA-V: its folders of PNGs, or videos with a JSON beside them."""
    folders = (path, *path.glob("sav_*")) if os.path.isdir(path) else ()
    return any((folder / PICTURES).is_dir() for folder in folders) or any(map(json_of, path.rglob("*.mp4")))


def open_sav(root: Path, split: str) -> Dataset:
    """ROOT/sav_val/JPEGImages_24fps, Annotations_6fps and sav_val.txt, where ROOT may be sav_val itself; or else all
    videos under ROOT that have a JSON beside them, of whatever split."""
    need_folder(root, "SA-V")
    folder = root / f"sav_{split}" if os.path.isdir(root / f"sav_{split}") else root
    if os.path.isdir(frames := folder / PICTURES):
        masks, listing = need_folder(folder / ANNOTATIONS, "the masks of SA-V"), folder / f"sav_{split}.txt"
        names, source = read_names(listing) if os.path.isfile(listing) else subfolders(masks), folder.resolve().name
        clips = tuple(_png_clip(name, frames / name, masks / name, source) for name in names)
        return Dataset("sav", split, clips, "objects")
    found = [(video, file) for video in sorted(root.rglob("*.mp4")) if (file := json_of(video))]
    if not found:
        raise FormatError(
            f"{root} holds no {PICTURES} and no videos with {' or '.join(ANNOTATION_ENDINGS)}; give SA-V's folder"
        )
    return Dataset("sav", split, tuple(_json_clip(video, file, root) for video, file in found), "objects")


def json_of(video: Path) -> Path | None:
    """The better JSON of a video; None if there is none."""
    beside = (video.with_name(video.stem + ending) for ending in ANNOTATION_ENDINGS)
    return next((file for file in beside if file.is_file()), None)


def _png_clip(name: str, frames: Path, masks: Path, source: str) -> Clip:
    pictures = frames_in(frames)
    objects = subfolders(need_folder(masks, "the masks of a sequence"))
    if odd := [folder for folder in objects if not folder.isdecimal()]:
        raise FormatError(f"{masks / odd[0]} is no object of SA-V; expected folders such as 000 and 001")
    by_frame: dict[int, dict[int, Path]] = {}
    for folder in objects:
        for frame, file in masks_of_frames(masks / folder, pictures).items():
            by_frame.setdefault(frame, {})[int(folder)] = file
    return Clip(name, pictures, {n: partial(object_pngs, files) for n, files in by_frame.items()}, source=source)


def _json_clip(video: Path, file: Path, root: Path) -> Clip:
    rows = range(len(_sav_rows(file)[1]))
    annotations = {SAV_STRIDE * row: partial(sav_masks, file, row) for row in rows}
    return Clip(name_below(video, root), video, annotations, source=root.resolve().name)


def sav_masks(path: Path, row: int) -> ObjectMasks:
    size, rows = _sav_rows(path)
    return _masks(rows[row], size)


@lru_cache(maxsize=64)
def _sav_rows(path: Path) -> tuple[tuple[int, int], list[list[Any]]]:
    """(height, width), and a list of run lengths for each annotated frame."""
    content, name = load_json(path), path.name
    rows = entries(content, "masklet", list, name)
    if not rows:
        raise FormatError(f"{name} holds no masks; remove it, or give another copy")
    return record_size(content, name, prefix="video_"), rows


def is_sa1b(path: Path) -> bool:
    return os.path.isdir(path) and any(file.with_suffix(".json").is_file() for file in path.rglob("*.jpg"))


def open_sa1b(root: Path, split: str) -> Dataset:
    """All pictures under ROOT that have a JSON beside them, of whatever split."""
    need_folder(root, "SA-1B")
    pictures = [file for file in sorted(root.rglob("*.jpg")) if file.with_suffix(".json").is_file()]
    if not pictures:
        raise FormatError(f"{root} holds no pictures with JSONs beside them; give SA-1B's folder")
    source = root.resolve().name
    clips = (
        Clip(name_below(file, root), (file,), {0: partial(sa1b_masks, file.with_suffix(".json"))}, "image", source)
        for file in pictures
    )
    return Dataset("sa1b", split, tuple(clips))


def sa1b_masks(path: Path) -> ObjectMasks:
    content, name = load_json(path), path.name
    size = record_size(entry(content, "image", dict, name), name)
    return _masks([record.get("segmentation") for record in entries(content, "annotations", dict, name)], size)


def _masks(records: Sequence[Any], size: tuple[int, int]) -> ObjectMasks:
    return RleMasks({number: rle_from_json(record, size) for number, record in enumerate(records, start=1)}, size)
