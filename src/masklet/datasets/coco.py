"""COCO and LVIS: pictures, and one JSON with the masks of all of them. Crowds are void."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from masklet.datasets.base import Clip, Dataset, ObjectMasks, RleMasks
from masklet.datasets.frame_folders import first_names
from masklet.errors import FormatError
from masklet.formats.json_file import entries, entry, load_json, record_size
from masklet.masks.rle import Rle, rle_from_json

COCO_SPLITS = ("train", "val", "test")
"""As the names of annotation files tell them."""


def is_coco(path: Path) -> bool:
    """Whether a path is an annotation file, or a folder with any."""
    return bool(annotation_files(path, "instances_"))


def annotation_files(root: Path, prefix: str) -> list[Path]:
    """ROOT itself if it is a JSON, or those in ROOT/annotations or else in ROOT: all that begin so, if any does."""
    if os.path.isfile(root):
        return [root] if root.suffix == ".json" else []
    found = sorted((root / "annotations").glob("*.json")) or sorted(root.glob("*.json"))
    return [file for file in found if file.name.startswith(prefix)] or found


def open_coco(root: Path, split: str, *, name: str = "coco", prefix: str = "instances_") -> Dataset:
    """The pictures with masks of a split's annotation files, such as annotations/instances_val2017.json and val2017.

    All files are taken where none names a split, and the one that is given, whatever it names. Raises FormatError if
    there are other splits only, or if pictures cannot be found.
    """
    files = annotation_files(root, prefix)
    if not files:
        raise FormatError(f"there is no JSON of {name.upper()} in {root}, such as annotations/{prefix}{split}2017.json")
    named = [file for file in files if any(known in file.stem for known in COCO_SPLITS)]
    chosen = files if os.path.isfile(root) or not named else [file for file in named if split in file.stem]
    if not chosen:
        raise FormatError(f"{root} has no file of the split {split!r}, but {named[0].name}; give the file to take it")
    clips = [clip for file in chosen for clip in _clips(file)]
    short = [Path(clip.name).name for clip in clips]
    if len({*short}) == len(clips):  # else the folders stay, which tell the pictures of several videos apart
        clips = [replace(clip, name=name) for clip, name in zip(clips, short, strict=True)]
    return Dataset(name, split, tuple(clips))


open_lvis = partial(open_coco, name="lvis", prefix="lvis_v1_")
"""LVIS has COCO's pictures, of both of its splits, under annotations/lvis_v1_val.json."""


def _clips(file: Path) -> list[Clip]:
    content, name = load_json(file), file.name
    of_picture: dict[int, list[dict[str, Any]]] = {}
    for record in entries(content, "annotations", dict, name):
        of_picture.setdefault(entry(record, "image_id", int, name), []).append(record)
    pictures = [
        image for image in entries(content, "images", dict, name) if entry(image, "id", int, name) in of_picture
    ]
    if not pictures:
        raise FormatError(f"{name} has no annotated picture; give one with images and annotations")
    places = [_place(image, name) for image in pictures]
    found = [find_picture(file, place) for place in places]
    if missing := [place for place, path in zip(places, found, strict=True) if path is None]:
        folder = _base(file) / _part(file)
        raise FormatError(
            f"{len(missing)} of {len(pictures)} pictures are missing: {first_names(missing)}; {name} names them, and "
            f"they are not in {_base(file)}; put them into {folder}"
        )
    return [
        Clip("/".join(place.with_suffix("").parts), (path,),
             {0: partial(masks_of, record_size(image, name), of_picture[image["id"]], path.name)}, "image", file.stem)
        for image, place, path in zip(pictures, places, found, strict=True) if path
    ]  # fmt: skip


def _place(image: dict[str, Any], name: str) -> Path:
    """Where a picture lies below a folder. LVIS gives it by COCO's address, with the folder's name."""
    if "file_name" in image:
        return Path(entry(image, "file_name", str, name))
    return Path(*entry(image, "coco_url", str, name).split("/")[-2:])


def _base(file: Path) -> Path:
    return file.parent.parent if file.parent.name == "annotations" else file.parent


def _part(file: Path) -> str:
    return file.stem.rsplit("_", 1)[-1]  # instances_train2017.json belongs to train2017/


def find_picture(file: Path, place: Path) -> Path | None:
    """A picture beside its annotation file: in the same folder, the one above, or a folder next to it."""
    base, part = _base(file), _part(file)
    for folder in (base / part, file.parent, base, base / "images", base / "images" / part):
        if os.path.isfile(folder / place):
            return folder / place
    return None


def masks_of(size: tuple[int, int], records: list[dict[str, Any]], name: str) -> ObjectMasks:
    """The masks of one picture of (height, width), from its records in the file. Objects count from 1 in their order.
    Raises FormatError, which names the picture."""

    def rle_of(record: dict[str, Any]) -> Rle:
        try:
            return rle_from_json(record.get("segmentation"), size)
        except FormatError as error:
            raise FormatError(f"annotation {record.get('id')} of {name}: {error}") from error

    objects = [rle_of(record) for record in records if not record.get("iscrowd")]
    crowds = [rle_of(record) for record in records if record.get("iscrowd")]
    return RleMasks(dict(enumerate(objects, start=1)), size, crowds)
