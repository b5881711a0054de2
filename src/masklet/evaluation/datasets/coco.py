"""COCO and LVIS: pictures, and one JSON with the masks of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from masklet.errors import EvaluationError
from masklet.evaluation.datasets.base import Clip, Dataset
from masklet.evaluation.datasets.folders import need_file, need_folder
from masklet.evaluation.datasets.truth import Annotations
from masklet.evaluation.scoring.folders import listed
from masklet.formats.json_file import entries, entry, load_json, size_of


def coco(root: Path, split: str) -> Dataset:
    """ROOT/annotations/instances_val2017.json and ROOT/val2017."""
    return _read("coco", root, split, f"instances_{split}2017.json")


def lvis(root: Path, split: str) -> Dataset:
    """ROOT/annotations/lvis_v1_val.json (or ROOT/lvis_v1_val.json), and COCO's folders train2017 and val2017."""
    return _read("lvis", root, split, f"lvis_v1_{split}.json")


def _read(dataset: str, root: Path, split: str, file: str) -> Dataset:
    need_folder(root, dataset.upper())
    path = root / "annotations" / file
    path = need_file(path if path.is_file() or not (root / file).is_file() else root / file, "the annotations")
    content = load_json(path)
    of_picture: dict[int, list[dict[str, Any]]] = {}
    for annotation in entries(content, "annotations", dict, path.name):
        of_picture.setdefault(entry(annotation, "image_id", int, path.name), []).append(annotation)
    pictures = [image for image in entries(content, "images", dict, path.name) if image.get("id") in of_picture]
    if not pictures:
        raise EvaluationError(f"{path.name} has no annotated picture; give one with images and annotations")
    files = [root / _place(image, split, path.name) for image in pictures]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise EvaluationError(f"{len(missing)} of {len(files)} pictures are missing: {listed(missing)}; complete them")
    pairs = zip(pictures, files, strict=True)
    clips = tuple(_clip(image, file, of_picture[image["id"]], path.name) for image, file in pairs)
    return Dataset(dataset, split, "image", clips)


def _place(image: dict[str, Any], split: str, name: str) -> Path:
    """The picture's path below the root. LVIS tells it by COCO's address, as its val split has pictures of both."""
    if "file_name" in image:
        return Path(f"{split}2017") / Path(entry(image, "file_name", str, name)).name
    return Path(*entry(image, "coco_url", str, name).split("/")[-2:])


def _clip(image: dict[str, Any], file: Path, annotations: list[dict[str, Any]], name: str) -> Clip:
    return Clip(file.stem, (file,), (file.stem,), Annotations(size_of(image, name), tuple(annotations), file.name))
