"""SA-1B, a JSON beside each picture; and SA-V, one or two JSONs beside each video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from masklet.errors import FormatError
from masklet.formats.base import ObjectId
from masklet.formats.json_file import entries, entry, load_json, size_of
from masklet.masks.rle import Rle, rle_from_json
from masklet.training.data.items import Collection, FilmFrames, Item, Masks, PictureFiles, RunLengths

SAV_STRIDE = 4
"""SA-V's masks are those of every fourth frame: 6 a second in videos of 24."""

SAV_ENDINGS = ("_manual.json", "_auto.json")
"""Objects that people marked, and objects that the model found; manual ones are taken where both are there."""


def read_sa1b(root: Path) -> list[Collection]:
    """All pictures under `root` that have a JSON beside them."""
    pictures = [file for file in sorted(root.rglob("*.jpg")) if file.with_suffix(".json").is_file()]
    items = [Item(file.name, PictureFiles((file,)), (Sa1bMasks(file.with_suffix(".json")),)) for file in pictures]
    return [Collection(root.resolve().name, items, float(len(items)))]


@dataclass(frozen=True)
class Sa1bMasks:
    """Reads the masks of one picture."""

    path: Path

    def __call__(self) -> Masks:
        content, name = load_json(self.path), self.path.name
        size = size_of(entry(content, "image", dict, name), name)
        annotations = entries(content, "annotations", dict, name)
        rows = [record.get("segmentation") for record in annotations]
        return RunLengths(dict(_rles(rows, size)), size)


def read_sav(root: Path) -> list[Collection]:
    """All videos under `root` that have a JSON beside them."""
    items = [_sav_item(video, files) for video in sorted(root.rglob("*.mp4")) if (files := sav_files(video))]
    return [Collection(root.resolve().name, [item for item in items if item.frames], float(len(items)))]


def sav_files(video: Path) -> list[Path]:
    """The JSONs of a video, the better first."""
    beside = (video.with_name(video.stem + ending) for ending in SAV_ENDINGS)
    return [file for file in beside if file.is_file()]


def _sav_item(video: Path, files: list[Path]) -> Item:
    count = len(_sav_rows(files[0])[1])
    numbers = tuple(range(0, count * SAV_STRIDE, SAV_STRIDE))
    return Item(video.name, FilmFrames(video, numbers), tuple(SavMasks(files[0], row) for row in range(count)))


@dataclass(frozen=True)
class SavMasks:
    """Reads one annotated frame's masks."""

    path: Path
    row: int

    def __call__(self) -> Masks:
        size, rows = _sav_rows(self.path)
        return RunLengths(dict(_rles(rows[self.row], size)), size)


def _rles(row: list[Any], size: tuple[int, int]) -> Iterable[tuple[ObjectId, Rle]]:
    for number, record in enumerate(row, start=1):
        yield number, rle_from_json(record, size)


@lru_cache(maxsize=64)
def _sav_rows(path: Path) -> tuple[tuple[int, int], list[list[Any]]]:
    """(height, width), and a list of run lengths for each annotated frame."""
    content, name = load_json(path), path.name
    rows = entries(content, "masklet", list, name)
    if not rows:
        raise FormatError(f"{name} holds no masks; remove it, or give another copy")
    return size_of(content, name, prefix="video_"), rows
