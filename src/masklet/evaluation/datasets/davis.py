"""DAVIS-2016 and DAVIS-2017: JPEGImages/480p, Annotations/480p, and lists in ImageSets."""

from __future__ import annotations

from pathlib import Path

from masklet.evaluation.datasets.base import Clip, Dataset
from masklet.evaluation.datasets.folders import MakeTruth, folder_clip, need_file, need_folder
from masklet.evaluation.datasets.truth import IndexPngs, WholePngs
from masklet.evaluation.scoring.folders import read_names

RESOLUTION = "480p"
"""The size that everybody reports."""

LIST = "the list of sequences"


def davis2016(root: Path, split: str) -> Dataset:
    """One object in each sequence: whatever is not 0. The list is ImageSets/2016/val.txt or 480p/val.txt."""
    names = root / "ImageSets/2016" / f"{split}.txt"
    paths = root / "ImageSets" / RESOLUTION / f"{split}.txt"
    need_folder(root, "DAVIS")
    if names.is_file() or not paths.is_file():
        sequences = read_names(need_file(names, LIST))
    else:
        sequences = list(dict.fromkeys(Path(line.split()[0]).parent.name for line in read_names(paths)))
    return Dataset("davis2016", split, "video", _clips(root, sequences, WholePngs))


def davis2017(root: Path, split: str) -> Dataset:
    """Several objects in each sequence, by their index. The list is ImageSets/2017/val.txt."""
    need_folder(root, "DAVIS")
    sequences = read_names(need_file(root / "ImageSets/2017" / f"{split}.txt", LIST))
    return Dataset("davis2017", split, "video", _clips(root, sequences, IndexPngs))


def _clips(root: Path, sequences: list[str], make_truth: MakeTruth) -> tuple[Clip, ...]:
    frames, masks = root / "JPEGImages" / RESOLUTION, root / "Annotations" / RESOLUTION
    return tuple(folder_clip(name, frames / name, masks / name, make_truth) for name in sequences)
