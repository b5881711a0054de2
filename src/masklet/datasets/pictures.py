"""The pictures that belong to a file of masks: those that it names, or those that are given beside it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.coco import find_picture
from masklet.errors import FormatError
from masklet.formats.base import Format
from masklet.formats.coco import picture_files
from masklet.formats.project_reader import read_project, video_of
from masklet.media.image_file import read_image
from masklet.media.source import open_video

Look = Callable[[int], NDArray[np.uint8]]
"""The picture of a frame, uint8 (H, W, 3). Raises MediaError or FormatError if it cannot be read."""


@contextmanager
def pictures_of(path: Path, entry: Format, given: Path | None) -> Iterator[Look]:
    """The pictures of a file or folder of masks.

    Args:
        path: The masks.
        entry: Their format. A COCO file names its pictures, and a project file its video.
        given: A folder in which COCO's pictures are, or the video or pictures of any other format, by number.

    Raises:
        FormatError: Nothing says where the pictures are.
    """
    if entry.name == "coco" and (given is None or given.is_dir()):
        names = picture_files(path)
        yield lambda frame: read_image(_named(path, names[frame], given))
        return
    if given is None and entry.name != "project":
        raise FormatError(f"{path.name} does not say where its pictures are; give them too")
    with open_video(given or video_of(read_project(path), path)) as source:
        yield lambda frame: source.read(frame).image


def _named(path: Path, name: str, folder: Path | None) -> Path:
    found = find_picture(path, Path(name)) if folder is None else folder / name
    if not name or found is None or not found.is_file():
        place = path.parent if folder is None else folder
        raise FormatError(f"{path.name} names the picture {name!r}, which is not in {place}; give their folder")
    return found
