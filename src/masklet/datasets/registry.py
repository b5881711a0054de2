"""The readers of data sets by name, and which of them reads what lies at a path."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from masklet import plugins
from masklet.datasets import coco, own, volumes
from masklet.datasets import segment_anything as sa
from masklet.datasets.base import ClipKind, Dataset
from masklet.datasets.frame_folders import (
    ANY_FRAMES,
    DAVIS_2016,
    DAVIS_2017,
    LVOS,
    MOSE,
    is_frame_folders,
    open_youtube_vos,
)
from masklet.errors import FormatError

OpenSplit = Callable[[Path, str], Dataset]
"""The clips at a root, of a split. Raises FormatError for files, folders and lists that are missing or damaged; frames
and masks are read later."""


@dataclass(frozen=True)
class DatasetReader:
    """The reader of one data set."""

    help: str  # one line
    read: OpenSplit  # its clips; readers of data sets without splits read them whole
    # whether a path holds it, for those that are recognised without their name
    holds: Callable[[Path], bool] | None = None


DATASETS: dict[str, DatasetReader] = {
    "index": DatasetReader("a folder with index.csv and index PNGs, or a pack", own.open_index, own.has_index),
    "frames": DatasetReader("DAVIS, YouTube-VOS, MOSE: JPEGImages and Annotations", ANY_FRAMES, is_frame_folders),
    "project": DatasetReader(
        ".masklet files, or a folder of them", own.open_projects, lambda path: bool(own.find_projects(path))
    ),
    "sav": DatasetReader(
        "SA-V: folders of PNGs, or videos with _manual.json or _auto.json beside them", sa.open_sav, sa.is_sav
    ),
    "sa1b": DatasetReader("SA-1B: pictures with a JSON of the same name beside them", sa.open_sa1b, sa.is_sa1b),
    "coco": DatasetReader("COCO: a JSON with images and annotations, and its pictures", coco.open_coco, coco.is_coco),
    "volumes": DatasetReader(
        "volumes and label maps: images/NAME.nii.gz, labels/NAME.nii.gz", volumes.open_volumes, volumes.holds_volumes
    ),
    "davis2016": DatasetReader("DAVIS-2016, one object in each sequence", DAVIS_2016),
    "davis2017": DatasetReader("DAVIS-2017, several objects", DAVIS_2017),
    "ytvos": DatasetReader("YouTube-VOS 2018 and 2019", open_youtube_vos),
    "mose": DatasetReader("MOSE", MOSE),
    "lvos": DatasetReader("LVOS, long videos", LVOS),
    "lvis": DatasetReader("LVIS v1", coco.open_lvis),
    "folder": DatasetReader("your own: index.csv, or pictures and videos with index PNGs beside them", own.open_folder),
    "pictures": DatasetReader("pictures without masks, whose regions are learned", own.open_pictures),
}
"""To add a data set, write what reads it and add a line here. A path is of the first that holds it."""


def find_dataset(name: str) -> DatasetReader:
    """The reader of that name, of an installed package, or `module:Name`: a `DatasetReader`, or the function alone.

    Raises ConfigError, with the nearest name, if there is none.
    """
    found: DatasetReader | OpenSplit = plugins.find("datasets", name, DATASETS)
    return found if isinstance(found, DatasetReader) else DatasetReader(name, found)


def recognise_dataset(path: Path) -> DatasetReader:
    """The reader of a path. Raises FormatError if there is no reader; pictures without masks are never guessed."""
    if (reader := next((r for r in DATASETS.values() if r.holds is not None and r.holds(path)), None)) is not None:
        return reader
    if os.path.isdir(path) and not any(path.iterdir()):
        raise FormatError(f"{path} is empty; give a folder with pictures and their masks")
    if os.path.isdir(path) and own.pictures_under(path):
        raise FormatError(
            f"{path} holds pictures but no masks; add them, or give pictures:{path} to learn their regions"
        )
    raise FormatError(f"{path} is no data set that is known here; known kinds: {', '.join(DATASETS)}")


def open_dataset(
    name: str, root: Path, split: str = "val", *, kind: ClipKind = "video", limit: int | None = None
) -> Dataset:
    """The videos or the pictures of a split, all with masks; `limit` keeps the first so many.

    Raises ConfigError for an unknown name, with the nearest one, and FormatError for a data set without clips of that
    kind, for clips without masks, and as the reader does. Masks and frames are read later.
    """
    dataset = find_dataset(name).read(root, split)
    clips = tuple(clip for clip in dataset.clips if clip.kind == kind)
    if not clips:
        raise FormatError(f"{root} holds no {kind}s with masks of the split {split!r}, as {name} has them")
    if bare := [clip.name for clip in clips if not clip.annotations]:
        raise FormatError(f"{bare[0]} holds no masks; expected PNGs such as 00000.png")
    dataset = replace(dataset, clips=clips, root=root)
    check_clip_names(dataset)
    return dataset if limit is None else replace(dataset, clips=dataset.clips[:limit])


def check_clip_names(dataset: Dataset) -> None:
    """Raises FormatError if two clips have one name, or a name leads out of the folder of a run."""
    seen: set[str] = set()
    for clip in dataset.clips:
        if clip.name in seen:
            raise FormatError(f"two {clip.kind}s are called {clip.name}; give each a name of its own")
        if Path(clip.name).is_absolute() or ".." in Path(clip.name).parts:
            raise FormatError(f"{clip.name} is no name of a sequence; expected one without ..")
        seen.add(clip.name)
