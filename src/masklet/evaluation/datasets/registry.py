"""The data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from masklet.errors import EvaluationError, nearest
from masklet.evaluation.datasets.base import Dataset, Kind


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    kind    videos or pictures
    reader  the function that reads it, as "module:name" within this package; imported when first used
    help    one line
    """

    kind: Kind
    reader: str
    help: str


VIDEOS = {
    "davis2016": Entry("video", "davis:davis2016", "DAVIS-2016, one object in each sequence"),
    "davis2017": Entry("video", "davis:davis2017", "DAVIS-2017, several objects"),
    "ytvos": Entry("video", "ytvos:ytvos", "YouTube-VOS 2018 and 2019"),
    "sav": Entry("video", "sav:sav", "SA-V"),
    "mose": Entry("video", "mose:mose", "MOSE"),
    "lvos": Entry("video", "lvos:lvos", "LVOS, long videos"),
    "folder": Entry("video", "index_folder:folder_videos", "your own videos with index PNGs"),
}
IMAGES = {
    "coco": Entry("image", "coco:coco", "COCO 2017"),
    "lvis": Entry("image", "coco:lvis", "LVIS v1"),
    "folder": Entry("image", "index_folder:folder_images", "your own pictures with index PNGs"),
}
"""To add a data set, write its file and add a line here."""


def open_dataset(
    name: str, root: Path, split: str = "val", *, kind: Kind = "video", limit: int | None = None
) -> Dataset:
    """The clips of a split; `limit` keeps the first so many.

    Raises EvaluationError for an unknown name, with the nearest one, and for folders and lists that are missing, empty
    or damaged. True masks and frames are read later.
    """
    known = VIDEOS if kind == "video" else IMAGES
    if name not in known:
        raise EvaluationError(
            f"unknown data set {name!r} of {kind}s{nearest(name, known)}; there are {', '.join(known)}"
        )
    module, function = known[name].reader.split(":")
    read: Callable[[Path, str], Dataset] = getattr(import_module(f"masklet.evaluation.datasets.{module}"), function)
    dataset = read(root, split)
    check_names(dataset)
    return dataset if limit is None else replace(dataset, clips=dataset.clips[:limit])


def check_names(dataset: Dataset) -> None:
    """Raises EvaluationError if two clips have one name, or a name leads out of the folder of a run."""
    seen: set[str] = set()
    for clip in dataset.clips:
        if clip.name in seen:
            raise EvaluationError(f"two {dataset.kind}s are called {clip.name}; give each a name of its own")
        if Path(clip.name).is_absolute() or ".." in Path(clip.name).parts:
            raise EvaluationError(f"{clip.name} is no name of a sequence; expected one without ..")
        seen.add(clip.name)
