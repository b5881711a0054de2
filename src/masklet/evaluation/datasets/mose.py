"""MOSE: SPLIT/JPEGImages and SPLIT/Annotations. Of the published validation split only the first masks are known."""

from __future__ import annotations

from pathlib import Path

from masklet.evaluation.datasets.base import Dataset
from masklet.evaluation.datasets.folders import folder_clip, need_clips, split_folder, subfolders

FOLDERS = {"val": ("valid", "val")}
"""Split -> the names of its folder."""


def mose(root: Path, split: str) -> Dataset:
    """Several objects in each sequence, by their index."""
    folder = split_folder(root, FOLDERS.get(split, (split,)), "MOSE")
    frames, masks = folder / "JPEGImages", folder / "Annotations"
    names = need_clips(subfolders(frames), frames)
    return Dataset("mose", split, "video", tuple(folder_clip(name, frames / name, masks / name) for name in names))
