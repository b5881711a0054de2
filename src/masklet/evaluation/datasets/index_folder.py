"""Your own: a folder with index.csv, or pictures and videos with index PNGs of the same names beside them.

dog.jpg  dog.png                 a picture, and its mask
run.mp4  run/00000.png ...       a video, and the masks of its frames
"""

from __future__ import annotations

import csv
from pathlib import Path

from masklet.errors import EvaluationError
from masklet.evaluation.datasets.base import Clip, Dataset, Kind
from masklet.evaluation.datasets.folders import need_folder
from masklet.evaluation.datasets.truth import IndexPngs
from masklet.evaluation.scoring.folders import listed
from masklet.formats.numbered import numbered_files

COLUMNS = ("kind", "path", "masks", "split")
"""Of index.csv; others are passed over."""

WANTED = f"give a CSV with the columns {', '.join(COLUMNS)}"
EXPECTED = {"image": "dog.jpg with dog.png", "video": "run.mp4 with run/00000.png"}
PICTURES = (".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")


def folder_videos(root: Path, split: str) -> Dataset:
    """The videos of a folder. The split counts only where there is an index.csv."""
    return _read(root, split, "video")


def folder_images(root: Path, split: str) -> Dataset:
    """The pictures of a folder. The split counts only where there is an index.csv."""
    return _read(root, split, "image")


def _read(root: Path, split: str, kind: Kind) -> Dataset:
    need_folder(root, f"{kind}s with masks")
    index = root / "index.csv"
    pairs = _indexed(index, split, kind) if index.is_file() else _beside(root, kind)
    if not pairs:
        where = f"no {kind} of the split {split!r} in {index}" if index.is_file() else f"no {kind} with masks in {root}"
        raise EvaluationError(f"there is {where}; expected index.csv, or {EXPECTED[kind]}")
    if missing := [str(path) for pair in pairs for path in pair if not path.exists()]:
        raise EvaluationError(f"{len(missing)} files of {root} are missing: {listed(missing)}; complete them")
    make = _video if kind == "video" else _picture
    return Dataset("folder", split, kind, tuple(make(root, *pair) for pair in pairs))


def _indexed(index: Path, split: str, kind: Kind) -> list[tuple[Path, Path]]:
    """Files and their masks, as index.csv lists them."""
    try:
        with index.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{index} cannot be read: {error}; {WANTED}") from error
    if any(row.get(column) is None for row in rows for column in COLUMNS):
        raise EvaluationError(f"{index} lacks a value; {WANTED}")
    wanted = [row for row in rows if row["kind"] == kind and row["split"] == split]
    return [(index.parent / row["path"], index.parent / row["masks"]) for row in wanted]


def _beside(root: Path, kind: Kind) -> list[tuple[Path, Path]]:
    """Files that have masks beside them."""
    suffixes = VIDEOS if kind == "video" else PICTURES
    files = sorted(f for f in root.rglob("*") if f.suffix.lower() in suffixes)
    masks = [file.with_suffix("" if kind == "video" else ".png") for file in files]
    return [(file, mask) for file, mask in zip(files, masks, strict=True) if mask.exists()]


def _video(root: Path, video: Path, folder: Path) -> Clip:
    files = numbered_files(need_folder(folder, "the masks of a video"))
    if not files:
        raise EvaluationError(f"{folder} holds no masks; expected PNGs such as 00000.png")
    return Clip(_name(root, video), video, tuple(f"{frame:05d}" for frame in range(max(files) + 1)), IndexPngs(files))


def _picture(root: Path, picture: Path, mask: Path) -> Clip:
    return Clip(_name(root, picture), (picture,), (mask.stem,), IndexPngs({0: mask}))


def _name(root: Path, file: Path) -> str:
    """The path below the root, without the ending and without a leading images/ or videos/."""
    parts = file.relative_to(root).with_suffix("").parts
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] in ("images", "videos") else parts)
