"""Whatever holds frames is opened here: `open_video`, and the table of readers that it asks from the top."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from masklet.errors import MediaError
from masklet.media.frames import Frame, FrameSource
from masklet.media.image_file import IMAGE_SUFFIXES
from masklet.media.series import is_series
from masklet.media.volume import is_volume

__all__ = ["READERS", "Frame", "FrameSource", "Reader", "open_video"]


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of video.

    what     what the user gives, for messages
    accepts  whether this is of the kind
    source   the class that reads it, as "module:Name" within this package; imported when first used
    """

    what: str
    accepts: Callable[[Any], bool]
    source: str


def open_video(video: Any) -> FrameSource:
    """Open whatever holds frames, by the first of READERS that accepts it.

    video  the path of a video file, of a GIF, TIFF or other picture, of a folder of pictures, or of a volume;
           a list of paths of pictures; an array (T, H, W, 3), or a list or an iterable of arrays (H, W, 3);
           the number of a camera, or the URL of a live stream

    Raises MediaError if there is nothing at the path, or nothing that can be read as a video.
    """
    for reader in READERS:
        if reader.accepts(video):
            module, name = reader.source.split(":")
            source: FrameSource = getattr(import_module(f"masklet.media.{module}"), name)(video)
            return source
    if _is_path(video):
        raise MediaError(f"there is nothing at {video}; give the path of a video file or of a folder of pictures")
    expected = "; ".join(reader.what for reader in READERS)
    raise MediaError(f"a {type(video).__name__} is not a video; give one of: {expected}")


def facts_of(source: FrameSource, video: Path) -> dict[str, Any]:
    """What writers take of a video, by the names of `masklet.formats.base.Facts`."""
    return {
        "audio_from": video if video.is_file() and source.geometry is None else None,
        "names": source.names,
        "geometry": source.geometry,
        "ground": source.ground,
        "dates": source.dates,
        "footage": source.footage,
    }


def _is_path(video: object) -> bool:
    return isinstance(video, str | PathLike)


def _is_url(video: object) -> bool:
    """A drive of Windows, as in C:/clip.mp4, is no scheme."""
    return isinstance(video, str) and "://" in video and len(urlsplit(video).scheme) > 1


def _is_camera(video: object) -> bool:
    return isinstance(video, int | np.integer) and not isinstance(video, bool)


def _is_folder(video: object) -> bool:
    return _is_path(video) and os.path.isdir(video)  # type: ignore[arg-type]


def _is_picture(video: object) -> bool:
    return _is_file(video) and Path(video).suffix.lower() in (*IMAGE_SUFFIXES, ".gif", ".apng", ".avif", ".avifs")  # type: ignore[arg-type]


def _is_exr(video: object) -> bool:
    return _is_picture(video) and str(video).lower().endswith(".exr")


def _is_file(video: object) -> bool:
    return _is_path(video) and os.path.exists(video)  # type: ignore[arg-type]


def _is_list_of_paths(video: object) -> bool:
    return isinstance(video, Sequence) and not _is_path(video) and len(video) > 0 and all(map(_is_path, video))


def _is_array_or_list(video: object) -> bool:
    return isinstance(video, np.ndarray | Sequence) and not isinstance(video, str | bytes | bytearray)


def _is_iterable(video: object) -> bool:
    return isinstance(video, Iterable) and not isinstance(video, str | bytes | bytearray | dict | set)


def _is_series(video: object) -> bool:
    return (_is_folder(video) or _is_list_of_paths(video)) and is_series(video)  # type: ignore[arg-type]


def _is_volume(video: object) -> bool:
    return _is_file(video) and is_volume(Path(video))  # type: ignore[arg-type]


READERS: tuple[Reader, ...] = (
    Reader("the number of a camera", _is_camera, "camera:Camera"),
    Reader("the URL of a live stream", _is_url, "camera:Camera"),
    Reader("a volume, such as scan.nii.gz or a folder of a DICOM series", _is_volume, "volume:VolumeSlices"),
    Reader("a folder or list of GeoTIFFs of one place", _is_series, "series:MapSeries"),
    Reader("the path of a folder of pictures", _is_folder, "image_file:ImageFolder"),
    Reader("of an OpenEXR picture", _is_exr, "image_file:ImageFiles"),
    Reader("of a GIF, TIFF or another picture", _is_picture, "pages:PagedImage"),
    Reader("or of a video file", _is_file, "video_file:VideoFile"),
    Reader("a list of paths of pictures", _is_list_of_paths, "image_file:ImageFiles"),
    Reader("an array (T, H, W, 3), or a list of arrays (H, W, 3)", _is_array_or_list, "arrays:ArrayFrames"),
    Reader("an iterable of arrays", _is_iterable, "arrays:IteratorFrames"),
)
"""To add a reader, write its file, with a class that opens from one argument, and add a line."""
