"""SA-V: frames at 24 a second, masks at 6, a folder of PNGs for each object."""

from __future__ import annotations

from pathlib import Path

from masklet.errors import EvaluationError
from masklet.evaluation.datasets.base import Clip, Dataset
from masklet.evaluation.datasets.folders import mask_files, need_clips, need_folder, pictures_in, subfolders
from masklet.evaluation.datasets.truth import ObjectPngs
from masklet.evaluation.scoring.folders import read_names


def sav(root: Path, split: str) -> Dataset:
    """ROOT/sav_val/JPEGImages_24fps, Annotations_6fps and sav_val.txt; ROOT may be sav_val itself."""
    need_folder(root, "SA-V")
    folder = root / f"sav_{split}" if (root / f"sav_{split}").is_dir() else root
    frames, masks = folder / "JPEGImages_24fps", folder / "Annotations_6fps"
    need_folder(frames, "the frames of SA-V")
    need_folder(masks, "the masks of SA-V")
    listing = folder / f"sav_{split}.txt"
    names = read_names(listing) if listing.is_file() else need_clips(subfolders(masks), masks)
    return Dataset("sav", split, "video", tuple(_clip(name, frames, masks) for name in names), "objects")


def _clip(name: str, frames: Path, masks: Path) -> Clip:
    pictures = pictures_in(frames / name)
    folders = need_clips(subfolders(need_folder(masks / name, "the masks of a sequence")), masks / name)
    if odd := [folder for folder in folders if not folder.isdecimal()]:
        raise EvaluationError(f"{masks / name / odd[0]} is no object of SA-V; expected folders such as 000 and 001")
    truth = ObjectPngs({int(folder): mask_files(masks / name / folder, pictures) for folder in folders})
    return Clip(name, pictures, tuple(picture.stem for picture in pictures), truth)
