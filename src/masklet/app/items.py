"""The videos and pictures at paths, and where a project keeps the work on them. `masklet loop` reads them without a
server."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from masklet.errors import MediaError
from masklet.media.image_file import IMAGE_SUFFIXES, VIDEO_SUFFIXES, files_in, pictures_in

FRAMES_AT_LEAST = 2
"""A folder of so many pictures whose names are numbers is a video of frames; other pictures stand for themselves."""


@dataclass(frozen=True)
class Item:
    """One video or picture: a file, or a folder of frames. Requests name it by its id, people by its name."""

    id: str
    path: Path
    name: str
    kind: Literal["video", "picture"]


def place_of(project: Path, item: Item) -> Path:
    """The folder of a project where work on an item is kept."""
    return project / "videos" / f"{item.path.stem[:60]}-{item.id}"


def items_in(path: Path) -> Iterator[Item]:
    """The items at a path: itself, or those in a folder and in the folders directly below. Raises MediaError if there
    is nothing."""
    if not path.exists():
        raise MediaError(f"there is nothing at {path}; give the path of a video, a picture, or a folder")
    if path.is_file():
        yield item_of(path)
        return
    inner = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    for folder in (path, *inner):
        yield from map(item_of, files_in(folder, VIDEO_SUFFIXES))
        pictures = pictures_in(folder)
        frames = len(pictures) >= FRAMES_AT_LEAST and all(picture.stem.isdecimal() for picture in pictures)
        yield from map(item_of, [folder] if frames else pictures)


def item_of(path: Path) -> Item:
    """The item of a file: a picture by its ending, or a video; or of a folder of frames, a video."""
    full = path.resolve()
    picture = path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()
    name = hashlib.sha256(str(full).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return Item(name, full, full.name, "picture" if picture else "video")
