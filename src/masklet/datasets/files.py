"""The common part of readers of data sets: folders of frames and of masks, and lists of names, read with care."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from masklet.datasets.base import Clip, IndexMasks, ObjectMasks, PlainMasks
from masklet.errors import FormatError
from masklet.formats.davis import open_png, read_index_png
from masklet.media.image_file import IMAGE_SUFFIXES, files_in

MOST_LISTED = 10
"""At most this many names stand in a message."""


def index_png(path: Path) -> ObjectMasks:
    """A PNG whose values are the objects; 255 is void."""
    return IndexMasks(read_index_png(path))


def whole_png(path: Path) -> ObjectMasks:
    """A PNG in which whatever is not 0 is the one object, number 1. So DAVIS-2016 is scored."""
    return PlainMasks({1: open_png(path) > 0})


def object_pngs(paths: Mapping[int, Path]) -> ObjectMasks:
    """A PNG for each object, not 0 on the object; masks may overlap."""
    return PlainMasks({number: open_png(path) > 0 for number, path in paths.items()})


def name_below(file: Path, root: Path) -> str:
    """The name of a clip: its path below the folder of the data set, without an ending."""
    return "/".join(file.relative_to(root).with_suffix("").parts)


def folder_clip(
    name: str, frames: Path, masks: Path, read: Callable[[Path], ObjectMasks] = index_png, *, source: str = ""
) -> Clip:
    """A clip of a folder of frames and a folder of masks that have the names of their frames.

    Frames without a mask are not annotated. Raises FormatError for a mask without its frame.
    """
    pictures = frames_in(frames)
    annotations = {frame: partial(read, file) for frame, file in masks_of_frames(masks, pictures).items()}
    return Clip(name, pictures, annotations, source=source)


def frames_in(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder in natural order. Raises FormatError if there is none."""
    found = files_in(need_folder(folder, "the frames of a sequence"), IMAGE_SUFFIXES)
    if not found:
        raise FormatError(f"{folder} holds no pictures; expected the frames of a sequence, such as 00000.jpg")
    return tuple(found)


def masks_of_frames(folder: Path, frames: Sequence[Path]) -> dict[int, Path]:
    """Frame -> the PNG of that frame's name. Raises FormatError for PNGs whose frames are missing."""
    numbers = {frame.stem: number for number, frame in enumerate(frames)}
    masks = files_in(need_folder(folder, "the masks of a sequence"), (".png",))
    if lost := [mask.stem for mask in masks if mask.stem not in numbers]:
        raise FormatError(
            f"{folder} has masks of {listed(lost)}, of which the frames are missing in {frames[0].parent}; "
            "complete the frames, or take the masks away"
        )
    return {numbers[mask.stem]: mask for mask in masks}


def need_folder(path: Path, what: str) -> Path:
    """The path, if it is a folder. Raises FormatError, which says what was looked for."""
    if not os.path.isdir(path):
        raise FormatError(f"there is no folder {path}, which should hold {what}; give the folder of the whole data set")
    return path


def need_file(path: Path, what: str) -> Path:
    """The path, if it is a file. Raises FormatError, which says what was looked for."""
    if not os.path.isfile(path):
        raise FormatError(f"there is no file {path}, {what}; give the folder of the whole data set")
    return path


def subfolders(path: Path) -> list[str]:
    """The names of the folders in a folder, sorted, but for hidden ones. Raises FormatError if there is none."""
    names = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise FormatError(f"{path} is empty; expected a folder for each sequence")
    return names


def read_names(path: Path) -> list[str]:
    """The lines of a list of sequences, without empty ones. Raises FormatError if there are none.

    DAVIS-2016 lists paths in place of names, those of a frame and its mask in a line: the names are taken from them.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read: {error}; give a text file with a sequence in each line") from error
    if not lines:
        raise FormatError(f"{path} is empty; give a text file of sequences, one in each line")
    if lines[0].startswith("/JPEGImages/"):
        return list(dict.fromkeys(Path(line.split()[0]).parent.name for line in lines))
    return lines


def listed(names: Iterable[object]) -> str:
    """Names for a message, the first ten."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - MOST_LISTED} more" if len(texts) > MOST_LISTED else ""
    return ", ".join(texts[:MOST_LISTED]) + more
