"""LVOS, long videos: SPLIT/JPEGImages and SPLIT/Annotations, where objects may enter late and leave for long."""

from __future__ import annotations

from pathlib import Path

from masklet.evaluation.datasets.base import Dataset
from masklet.evaluation.datasets.folders import folder_clip, need_clips, split_folder, subfolders

FOLDERS = {"val": ("valid", "val")}
"""Split -> the names of its folder."""


def lvos(root: Path, split: str) -> Dataset:
    """Several objects in each sequence, by their index; an object is told to trackers in the frame where it enters."""
    folder = split_folder(root, FOLDERS.get(split, (split,)), "LVOS")
    frames, masks = folder / "JPEGImages", folder / "Annotations"
    names = need_clips(subfolders(masks), masks)
    return Dataset("lvos", split, "video", tuple(folder_clip(name, frames / name, masks / name) for name in names))
