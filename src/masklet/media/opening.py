"""Which reader opens what: a table, asked from the top."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from masklet.errors import MediaError
from masklet.media.image_file import IMAGE_SUFFIXES
from masklet.media.source import FrameSource


@dataclass(frozen=True)
class Kind:
    """One kind of video.

    what     what the user gives, for messages
    accepts  whether this is of the kind
    reader   the class that reads it, as "module:Name" within this package; imported when first used
    """

    what: str
    accepts: Callable[[Any], bool]
    reader: str


def open_source(video: Any) -> FrameSource:
    """Open with the first reader of KINDS that accepts. Raises MediaError."""
    for kind in KINDS:
        if kind.accepts(video):
            module, name = kind.reader.split(":")
            reader = getattr(import_module(f"masklet.media.{module}"), name)
            return reader(video)
    if _is_path(video):
        raise MediaError(f"there is nothing at {video}; give the path of a video file or of a folder of pictures")
    expected = "; ".join(kind.what for kind in KINDS)
    raise MediaError(f"a {type(video).__name__} is not a video; give one of: {expected}")


def _is_path(video: object) -> bool:
    return isinstance(video, str | PathLike)


def _is_url(video: object) -> bool:
    """A drive of Windows, as in C:/clip.mp4, is no scheme."""
    return isinstance(video, str) and "://" in video and len(urlsplit(video).scheme) > 1


def _is_camera(video: object) -> bool:
    return isinstance(video, int | np.integer) and not isinstance(video, bool)


def _is_folder(video: object) -> bool:
    return _is_path(video) and Path(video).is_dir()  # type: ignore[arg-type]


def _is_picture(video: object) -> bool:
    return _is_file(video) and Path(video).suffix.lower() in (*IMAGE_SUFFIXES, ".gif", ".apng")  # type: ignore[arg-type]


def _is_file(video: object) -> bool:
    return _is_path(video) and Path(video).exists()  # type: ignore[arg-type]


def _is_list_of_paths(video: object) -> bool:
    return isinstance(video, Sequence) and not _is_path(video) and len(video) > 0 and all(map(_is_path, video))


def _is_array_or_list(video: object) -> bool:
    return isinstance(video, np.ndarray | Sequence) and not isinstance(video, str | bytes | bytearray)


def _is_iterable(video: object) -> bool:
    return isinstance(video, Iterable) and not isinstance(video, str | bytes | bytearray | dict | set)


KINDS: tuple[Kind, ...] = (
    Kind("the number of a camera", _is_camera, "camera:Camera"),
    Kind("the URL of a live stream", _is_url, "camera:Camera"),
    Kind("the path of a folder of pictures", _is_folder, "folder:ImageFolder"),
    Kind("of a GIF, TIFF or another picture", _is_picture, "pages:PagedImage"),
    Kind("or of a video file", _is_file, "video_file:VideoFile"),
    Kind("a list of paths of pictures", _is_list_of_paths, "folder:ImageFiles"),
    Kind("an array (T, H, W, 3), or a list of arrays (H, W, 3)", _is_array_or_list, "arrays:ArrayFrames"),
    Kind("an iterable of arrays", _is_iterable, "arrays:IteratorFrames"),
)
"""To add a reader, write its file, with a class that opens from one argument, and add a line."""
