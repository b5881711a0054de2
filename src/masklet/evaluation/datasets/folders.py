"""Folders of frames and of masks, as most video data sets are published, read with care."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from masklet.errors import EvaluationError
from masklet.evaluation.datasets.base import Clip, Truth
from masklet.evaluation.datasets.truth import IndexPngs
from masklet.evaluation.scoring.folders import listed
from masklet.media.image_file import IMAGE_SUFFIXES

MakeTruth = Callable[[Mapping[int, Path]], Truth]


def need_folder(path: Path, what: str) -> Path:
    """The path, if it is a folder. Raises EvaluationError, which says what was looked for."""
    if not path.is_dir():
        raise EvaluationError(f"there is no folder {path}, which should hold {what}; give the --root that holds it")
    return path


def need_file(path: Path, what: str) -> Path:
    """The path, if it is a file. Raises EvaluationError, which says what was looked for."""
    if not path.is_file():
        raise EvaluationError(f"there is no file {path}, {what}; give the --root that holds it")
    return path


def subfolders(path: Path) -> list[str]:
    """The names of the folders in a folder, in the order of the alphabet; hidden ones are passed over."""
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder by name. Raises EvaluationError if there is none."""
    need_folder(folder, "the frames of a sequence")
    found = sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith("."))
    if not found:
        raise EvaluationError(f"{folder} holds no pictures; expected the frames of a sequence, such as 00000.jpg")
    return tuple(found)


def mask_files(folder: Path, frames: Iterable[Path]) -> dict[int, Path]:
    """Frame -> the PNG of that frame's name. Raises EvaluationError if there is none, or one whose frame is missing."""
    need_folder(folder, "the masks of a sequence")
    numbers = {frame.stem: number for number, frame in enumerate(frames)}
    masks = sorted(f for f in folder.iterdir() if f.suffix.lower() == ".png" and not f.name.startswith("."))
    if not masks:
        raise EvaluationError(f"{folder} holds no masks; expected PNGs such as 00000.png")
    if lost := [mask.stem for mask in masks if mask.stem not in numbers]:
        raise EvaluationError(
            f"{folder} has masks of {listed(lost)}, of which the frames are missing; complete the frames, "
            "or take the masks away"
        )
    return {numbers[mask.stem]: mask for mask in masks}


def folder_clip(name: str, frames: Path, masks: Path, make_truth: MakeTruth = IndexPngs) -> Clip:
    """A clip of two folders, one of frames and one of masks."""
    pictures = pictures_in(frames)
    stems = tuple(picture.stem for picture in pictures)
    return Clip(name, pictures, stems, make_truth(mask_files(masks, pictures)))


def split_folder(root: Path, names: Iterable[str], what: str) -> Path:
    """The folder of a split: the first of these names that is there, or the root itself if it holds JPEGImages."""
    need_folder(root, what)
    for folder in (*(root / name for name in names), root):
        if (folder / "JPEGImages").is_dir():
            return folder
    tried = " or ".join(str(root / name / "JPEGImages") for name in names)
    raise EvaluationError(
        f"{root} holds no {what}: there is no folder {tried}; give the --root of the unpacked data set"
    )


def need_clips(names: list[str], folder: Path) -> list[str]:
    """The names, if there are any. Raises EvaluationError."""
    if not names:
        raise EvaluationError(f"{folder} is empty; expected a folder for each sequence")
    return names
