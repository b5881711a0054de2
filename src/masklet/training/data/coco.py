"""COCO: one JSON for many pictures; crowds are regions of which nobody knows what they are."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from masklet.errors import FormatError
from masklet.formats.base import ObjectId
from masklet.formats.json_file import entries, entry, load_json, size_of
from masklet.masks.rle import Rle, rle_from_json
from masklet.training.data.items import Collection, Item, Masks, PictureFiles, RunLengths

SPLITS = ("train", "val", "test")
"""As the names of annotation files tell them."""


def find_annotations(root: Path) -> list[Path]:
    """The JSON files of a data set: `root` itself, those in `annotations/`, or those in the folder."""
    if root.is_file():
        return [root] if root.suffix == ".json" else []
    found = sorted((root / "annotations").glob("*.json")) or sorted(root.glob("*.json"))
    return [file for file in found if file.name.startswith("instances_")] or found


def read_coco(root: Path, *, split: str = "train") -> list[Collection]:
    """One collection for each annotation file of a split; of all files where none names a split, or of the one that
    is given. Raises FormatError if there are other splits only, or a picture cannot be found."""
    files = find_annotations(root)
    named = [file for file in files if any(name in file.stem for name in SPLITS)]
    if root.is_file() or not named:
        return [_collection(file) for file in files]
    if not (chosen := [file for file in named if split in file.stem]):
        raise FormatError(f"{root} has no file of the split {split!r}, but {named[0].name}; give the file to take it")
    return [_collection(file) for file in chosen]


def _collection(file: Path) -> Collection:
    content, name = load_json(file), file.name
    annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in entries(content, "annotations", dict, name):
        annotations[entry(annotation, "image_id", int, name)].append(annotation)
    items = []
    for image in entries(content, "images", dict, name):
        records = annotations[entry(image, "id", int, name)]
        if records:
            path = _picture(file, entry(image, "file_name", str, name))
            items.append(Item(path.name, PictureFiles((path,)), (CocoMasks(records, size_of(image, name), name),)))
    return Collection(file.stem, items, float(len(items)))


def _picture(file: Path, name: str) -> Path:
    """A picture beside its annotation file: in the same folder, the one above, or a folder next to it."""
    split = file.stem.rsplit("_", 1)[-1]  # instances_train2017.json belongs to train2017/
    base = file.parent.parent if file.parent.name == "annotations" else file.parent
    places = (file.parent, base, base / split, base / "images", base / "images" / split)
    for place in places:
        if (place / name).is_file():
            return place / name
    raise FormatError(f"{file.name} names {name}, which is not in {base}; put the pictures into {base / split}")


class CocoMasks:
    """Makes the masks of one picture."""

    def __init__(self, records: list[dict[str, Any]], size: tuple[int, int], name: str) -> None:
        self.records, self.size, self.name = records, size, name

    def __call__(self) -> Masks:
        crowds: list[Rle] = []
        objects: dict[ObjectId, Rle] = {}
        for number, record in enumerate(self.records, start=1):
            rle = rle_from_json(record.get("segmentation"), self.size)
            if record.get("iscrowd"):
                crowds.append(rle)
            else:
                objects[number] = rle
        return RunLengths(objects, self.size, crowds)
