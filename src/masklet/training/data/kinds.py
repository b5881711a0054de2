"""The data sets that are understood, by name, and which of them lies at a path."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from masklet.errors import FormatError
from masklet.media.image_file import IMAGE_SUFFIXES
from masklet.training.data.coco import find_annotations, read_coco
from masklet.training.data.frame_folders import find_root, read_frame_folders
from masklet.training.data.index import INDEX, read_index
from masklet.training.data.items import Collection, Item, PictureFiles, no_masks
from masklet.training.data.pack import is_pack, unpacked
from masklet.training.data.projects import find_projects, read_projects
from masklet.training.data.segment_anything import read_sa1b, read_sav, sav_files


@dataclass(frozen=True)
class Kind:
    """One kind of data set.

    Attributes:
        help: One line.
        holds: Whether a path holds it.
        read: Its collections of a split; kinds that tell no splits are read whole.
    """

    help: str
    holds: Callable[[Path], bool]
    read: Callable[[Path, str], list[Collection]]


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: `[KIND:]PATH[@WEIGHT]`."""

    path: Path
    kind: str | None = None
    weight: float | None = None


def parse_wanted(text: str) -> Wanted:
    """Read what was typed. Raises FormatError for a weight that is no finite number over 0."""
    head, _, tail = text.partition(":")
    kind, rest = (head, tail) if head in KINDS else (None, text)
    place, _, share = rest.rpartition("@")
    if not place:
        return Wanted(Path(rest), kind)
    try:
        weight = float(share)
    except ValueError:
        return Wanted(Path(rest), kind)  # an @ in the name
    if not 0 < weight < math.inf:
        raise FormatError(f"the weight of {place} is {share}; give a finite number over 0")
    return Wanted(Path(place), kind, weight)


def read_data(wanted: Sequence[Wanted], *, licence: str | None = None, split: str = "train") -> list[Collection]:
    """The collections of several data sets. A given weight is that of the whole set beside others.

    Args:
        wanted: Where they are.
        licence: Takes only rows of an index that have it, such as "open"; other kinds say nothing of licences.
        split: "train" or "val", of kinds that tell splits (index, frames, coco); others are taken whole.

    Raises:
        FormatError: Nothing at a path, nothing that is understood, or no masks in it.
    """
    collections = []
    for one in wanted:
        found = [part for part in _read(one, licence, split) if part.items]
        if not found:
            raise FormatError(
                f"{one.path} holds no masks of the split {split!r}; give a folder with pictures and their masks"
            )
        whole = sum(part.weight for part in found)
        scale = 1.0 if one.weight is None else one.weight / whole
        collections += [replace(part, weight=part.weight * scale) for part in found]
    return collections


def _read(one: Wanted, licence: str | None, split: str) -> list[Collection]:
    path = unpacked(one.path) if is_pack(one.path) else one.path
    if not path.exists():
        raise FormatError(f"there is nothing at {path}; give a folder with training data")
    name = one.kind or _recognise(path)
    if one.kind and not KINDS[name].holds(path):
        raise FormatError(f"{path} is no data of the kind {name} ({KINDS[name].help}); give another path or kind")
    if name == "index":
        return read_index(path, split=split, licence=licence)
    if licence is not None:
        raise FormatError(f"{path} is of the kind {name}, which does not tell licences; leave --licence out")
    return KINDS[name].read(path, split)


def _recognise(path: Path) -> str:
    for name, kind in KINDS.items():
        if name != "pictures" and kind.holds(path):
            return name
    if path.is_dir() and not any(path.iterdir()):
        raise FormatError(f"{path} is empty; give a folder with pictures and their masks")
    if path.is_dir() and pictures_in(path):
        raise FormatError(
            f"{path} holds pictures but no masks; add them, or give pictures:{path} to learn their regions"
        )
    raise FormatError(f"{path} is no data set that is known here; known kinds: {', '.join(KINDS)}")


def pictures_in(root: Path) -> list[Path]:
    """All pictures under a folder."""
    return sorted(file for file in root.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)


def read_pictures(root: Path) -> list[Collection]:
    """Pictures without masks, to learn the regions that are found in them."""
    items = [Item(file.name, PictureFiles((file,)), (no_masks,)) for file in pictures_in(root)]
    return [Collection(root.resolve().name, items, float(len(items)))]


KINDS: dict[str, Kind] = {
    "index": Kind(
        "a folder with index.csv and index PNGs, or a pack",
        lambda path: (path / INDEX).is_file(),
        lambda path, split: read_index(path, split=split),
    ),
    "frames": Kind(
        "DAVIS, YouTube-VOS, MOSE: JPEGImages and Annotations",
        lambda path: find_root(path) is not None or find_root(path, "val") is not None,
        lambda path, split: read_frame_folders(path, split=split),
    ),
    "project": Kind(
        ".masklet files, or a folder of them",
        lambda path: bool(find_projects(path)),
        lambda path, split: read_projects(path),
    ),
    "sav": Kind(
        "SA-V: videos with _manual.json or _auto.json beside them",
        lambda path: path.is_dir() and any(sav_files(video) for video in path.rglob("*.mp4")),
        lambda path, split: read_sav(path),
    ),
    "sa1b": Kind(
        "SA-1B: pictures with a JSON of the same name beside them",
        lambda path: path.is_dir() and any(file.with_suffix(".json").is_file() for file in path.rglob("*.jpg")),
        lambda path, split: read_sa1b(path),
    ),
    "coco": Kind(
        "COCO: a JSON with the keys images and annotations, and its pictures",
        lambda path: bool(find_annotations(path)),
        lambda path, split: read_coco(path, split=split),
    ),
    "pictures": Kind(
        "pictures without masks, whose regions are learned",
        lambda path: bool(pictures_in(path)),
        lambda path, split: read_pictures(path),
    ),
}
"""To add a kind, write its reader and add a line. A path is of the first kind that it holds."""
