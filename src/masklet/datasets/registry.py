"""The readers of data sets by name, and which of them reads what lies at a path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from masklet import plugins
from masklet.datasets.base import Dataset, Kind
from masklet.datasets.coco import is_coco, read_coco, read_lvis
from masklet.datasets.frame_folders import ANY, DAVIS_2016, DAVIS_2017, LVOS, MOSE, YOUTUBE_VOS, is_frame_folders
from masklet.datasets.own import (
    find_projects,
    has_index,
    pictures_under,
    read_folder,
    read_index,
    read_pictures,
    read_projects,
)
from masklet.datasets.segment_anything import is_sa1b, is_sav, read_sa1b, read_sav
from masklet.errors import FormatError

Read = Callable[[Path, str], Dataset]
"""The clips at a root, of a split. Raises FormatError for files, folders and lists that are missing or damaged; frames
and masks are read later."""


@dataclass(frozen=True)
class Reader:
    """What reads one data set.

    help   one line
    read   its clips; readers of data sets that tell no splits read them whole
    holds  whether a path holds it, for those that are recognised without their name
    """

    help: str
    read: Read
    holds: Callable[[Path], bool] | None = None


READERS: dict[str, Reader] = {
    "index": Reader("a folder with index.csv and index PNGs, or a pack", read_index, has_index),
    "frames": Reader("DAVIS, YouTube-VOS, MOSE: JPEGImages and Annotations", ANY, is_frame_folders),
    "project": Reader(".masklet files, or a folder of them", read_projects, lambda path: bool(find_projects(path))),
    "sav": Reader("SA-V: folders of PNGs, or videos with _manual.json or _auto.json beside them", read_sav, is_sav),
    "sa1b": Reader("SA-1B: pictures with a JSON of the same name beside them", read_sa1b, is_sa1b),
    "coco": Reader("COCO: a JSON with the keys images and annotations, and its pictures", read_coco, is_coco),
    "davis2016": Reader("DAVIS-2016, one object in each sequence", DAVIS_2016),
    "davis2017": Reader("DAVIS-2017, several objects", DAVIS_2017),
    "ytvos": Reader("YouTube-VOS 2018 and 2019", YOUTUBE_VOS),
    "mose": Reader("MOSE", MOSE),
    "lvos": Reader("LVOS, long videos", LVOS),
    "lvis": Reader("LVIS v1", read_lvis),
    "folder": Reader("your own: index.csv, or pictures and videos with index PNGs beside them", read_folder),
    "pictures": Reader("pictures without masks, whose regions are learned", read_pictures),
}
"""To add a data set, write what reads it and add a line here. A path is of the first that holds it."""


def find_reader(name: str) -> Reader:
    """The reader of that name, that of an installed package, or `module:Name`: a `Reader`, or the function alone.

    Raises ConfigError, with the nearest name, if there is none.
    """
    found: Reader | Read = plugins.find("datasets", name, READERS)
    return found if isinstance(found, Reader) else Reader(name, found)


def recognise(path: Path) -> Reader:
    """What reads a path. Raises FormatError if nothing does; pictures without masks are never guessed."""
    if (reader := next((r for r in READERS.values() if r.holds is not None and r.holds(path)), None)) is not None:
        return reader
    if path.is_dir() and not any(path.iterdir()):
        raise FormatError(f"{path} is empty; give a folder with pictures and their masks")
    if path.is_dir() and pictures_under(path):
        raise FormatError(
            f"{path} holds pictures but no masks; add them, or give pictures:{path} to learn their regions"
        )
    raise FormatError(f"{path} is no data set that is known here; known kinds: {', '.join(READERS)}")


def open_dataset(
    name: str, root: Path, split: str = "val", *, kind: Kind = "video", limit: int | None = None
) -> Dataset:
    """The videos or the pictures of a split, all with masks; `limit` keeps the first so many.

    Raises ConfigError for an unknown name, with the nearest one, and FormatError for a data set without clips of that
    kind, for clips without masks, and as the reader does. Masks and frames are read later.
    """
    dataset = find_reader(name).read(root, split)
    clips = tuple(clip for clip in dataset.clips if clip.kind == kind)
    if not clips:
        raise FormatError(f"{root} holds no {kind}s with masks of the split {split!r}, as {name} has them")
    if bare := [clip.name for clip in clips if not clip.annotations]:
        raise FormatError(f"{bare[0]} holds no masks; expected PNGs such as 00000.png")
    dataset = replace(dataset, clips=clips)
    check_names(dataset)
    return dataset if limit is None else replace(dataset, clips=dataset.clips[:limit])


def check_names(dataset: Dataset) -> None:
    """Raises FormatError if two clips have one name, or a name leads out of the folder of a run."""
    seen: set[str] = set()
    for clip in dataset.clips:
        if clip.name in seen:
            raise FormatError(f"two {clip.kind}s are called {clip.name}; give each a name of its own")
        if Path(clip.name).is_absolute() or ".." in Path(clip.name).parts:
            raise FormatError(f"{clip.name} is no name of a sequence; expected one without ..")
        seen.add(clip.name)
