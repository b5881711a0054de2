"""YouTube-VOS: SPLIT/JPEGImages, SPLIT/Annotations and SPLIT/meta.json, which tells when each object enters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from masklet.errors import EvaluationError
from masklet.evaluation.datasets.base import Clip, Dataset
from masklet.evaluation.datasets.folders import folder_clip, need_clips, split_folder
from masklet.evaluation.datasets.truth import IndexPngs
from masklet.formats.json_file import entries, entry, load_json

FOLDERS = {"val": ("valid", "val")}
"""Split -> the names of its folder."""


def ytvos(root: Path, split: str) -> Dataset:
    """Several objects in each sequence; "seen" are those whose kind is in ROOT/train/meta.json, where that is there."""
    folder = split_folder(root, FOLDERS.get(split, (split,)), "YouTube-VOS")
    videos = _videos(folder / "meta.json")
    seen = _kinds(root / "train/meta.json")
    names = need_clips(sorted(videos), folder / "meta.json")
    return Dataset("ytvos", split, "video", tuple(_clip(name, folder, videos[name], seen) for name in names))


def _clip(name: str, folder: Path, video: Mapping[str, Any], seen: frozenset[str]) -> Clip:
    clip = folder_clip(name, folder / "JPEGImages" / name, folder / "Annotations" / name)
    assert isinstance(clip.truth, IndexPngs), "index PNGs are what folder_clip makes"
    numbers = {stem: number for number, stem in enumerate(clip.stems)}
    first: dict[int, int] = {}
    groups: dict[int, str] = {}
    for key, item in video["objects"].items():
        frames = entries(item, "frames", str, "meta.json")
        if not key.isdecimal() or not frames or frames[0] not in numbers:
            where = frames[0] if frames else "no frame"
            raise EvaluationError(f"meta.json lets object {key} of {name} enter in {where}, which is missing there")
        first[int(key)] = numbers[frames[0]]
        if seen:
            groups[int(key)] = "seen" if item.get("category") in seen else "unseen"
    return replace(clip, truth=IndexPngs(clip.truth.files, first), groups=groups)


def _videos(path: Path) -> dict[str, dict[str, Any]]:
    """The videos of a meta.json, each with its "objects". Raises EvaluationError."""
    found = entry(load_json(path), "videos", dict, path.name)
    for name in found:
        for item in entry(entry(found, name, dict, path.name), "objects", dict, path.name).values():
            entry({name: item}, name, dict, path.name)
    return found


def _kinds(path: Path) -> frozenset[str]:
    """The kinds of things that the training split has; empty where that split is not there."""
    if not path.is_file():
        return frozenset()
    objects = [item for video in _videos(path).values() for item in video["objects"].values()]
    return frozenset(item["category"] for item in objects if isinstance(item.get("category"), str))
