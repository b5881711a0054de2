"""Whatever holds frames is opened here."""

import os
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from masklet.errors import MediaError
from masklet.media.frames import ArrayFrames, Frame, FrameSource, IteratorFrames
from masklet.media.image_file import EXR, IMAGE_SUFFIXES, ImageFiles, ImageFolder, PagedImage
from masklet.media.series import MapSeries, ground_of, is_series
from masklet.media.volume import VolumeSlices, is_volume

__all__ = ["Frame", "FrameSource", "open_video"]

EXPECTED_VIDEOS = (
    "the number of a camera; the URL of a live stream; a volume, such as scan.nii.gz or a folder of a DICOM series; "
    "a folder or list of GeoTIFFs of one place; the path of a folder of pictures; of an OpenEXR picture; of a GIF, "
    "TIFF or another picture; or of a video file; a list of paths of pictures; an array (T, H, W, 3), or a list of "
    "arrays (H, W, 3); an iterable of arrays"
)


def open_video(video: Any) -> FrameSource:
    """Open whatever holds frames.

    video  the path of a video file, of a GIF, TIFF or other picture, of a folder of pictures, or of a volume;
           a list of paths of pictures; an array (T, H, W, 3), or a list or an iterable of arrays (H, W, 3);
           the number of a camera, or the URL of a live stream

    Raises MediaError if there is nothing at the path, or nothing that can be read as a video.
    """
    if isinstance(video, str | PathLike):
        return _at(video)
    if isinstance(video, int | np.integer) and not isinstance(video, bool):
        return _camera(int(video))
    if isinstance(video, np.ndarray | Sequence) and not isinstance(video, bytes | bytearray):
        if isinstance(video, np.ndarray) or not video or not all(isinstance(one, str | PathLike) for one in video):
            return ArrayFrames(video)
        return MapSeries(video) if is_series(video) else ImageFiles(video)
    if isinstance(video, Iterable) and not isinstance(video, bytes | bytearray | dict | set):
        return IteratorFrames(video)
    raise MediaError(f"a {type(video).__name__} is not a video; give one of: {EXPECTED_VIDEOS}")


def _at(place: str | PathLike[str]) -> FrameSource:
    """What a path or a URL holds."""
    if isinstance(place, str) and "://" in place and len(urlsplit(place).scheme) > 1:  # a drive, as C:, is no scheme
        return _camera(place)
    if not os.path.exists(place):
        raise MediaError(f"there is nothing at {place}; give the path of a video file or of a folder of pictures")
    path = Path(place)
    if is_volume(path):
        return VolumeSlices(path)
    if path.is_dir():
        return MapSeries(path) if is_series(path) else ImageFolder(path)
    suffix = path.suffix.lower()
    if suffix == EXR:
        return ImageFiles(path)
    if suffix in (*IMAGE_SUFFIXES, ".gif", ".apng", ".avif", ".avifs"):
        pages = PagedImage(path)
        pages.ground = ground_of(path) if len(pages) == 1 else None
        return pages
    from masklet.media.video_file import VideoFile  # here, as others need no PyAV

    return VideoFile(path)


def _camera(place: int | str) -> FrameSource:
    from masklet.media.camera import Camera  # here, as others need no PyAV

    return Camera(place)


def facts_of(source: FrameSource, video: Path) -> dict[str, Any]:
    """What writers take of a video, by the names of `masklet.formats.base.Facts`."""
    facts = {name: getattr(source, name) for name in ("names", "geometry", "ground", "dates", "footage")}
    return {**facts, "audio_from": video if video.is_file() and source.geometry is None else None}
