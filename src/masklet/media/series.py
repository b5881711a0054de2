"""GeoTIFFs of one place over time, read as a video: the frames are dates."""

import re
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import natural_order
from masklet.errors import MediaError, needing
from masklet.geometry import Ground
from masklet.media.frames import ListedFrames
from masklet.media.image_file import files_in
from masklet.media.large import LargePicture

MAP_SUFFIXES = (".tif", ".tiff")
"""Files of a folder that count."""

MAX_MAP_PIXELS = 100_000_000
"""Of a frame, which is in memory as a whole."""

DATE_IN_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_:]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:[T_ -]?([01]\d|2[0-3]):?([0-5]\d):?([0-5]\d))?(?!\d)"
)
"""A date, perhaps with its time, in a name or in what a file says of itself: 20260503, 2026-05-03T101500."""


class MapSeries(ListedFrames):
    """Pictures of one place as frames, each brought to the grid of the first.

    They come in the order of the times at which they were taken, if all say so: in their metadata (GDAL's
    ACQUISITIONDATETIME, TIFF's DateTime) or, before that of TIFF, in their names. Otherwise in the order in which they
    are given, those of a folder in natural order. What a picture does not show is black.

    Args:
        files: A folder, or paths.
        resolution, levels: As `LargePicture` takes them.

    Attributes:
        files: In the order of frames.
        names: Their names; empty if these do not sort as the dates do, so that results are numbered.
        dates: When each was taken; empty if nothing says.
        ground: Where the pixels of every frame lie.

    Raises:
        MediaError: There is no picture, one cannot be read or lies elsewhere than the first, or frames are larger than
            `MAX_MAP_PIXELS`.
    """

    ground: Ground

    def __init__(
        self,
        files: str | PathLike[str] | Sequence[str | PathLike[str]],
        *,
        resolution: float | None = None,
        levels: Sequence[float] | None = None,
    ) -> None:
        paths = maps_of(files)
        if not paths:
            raise MediaError(f"{files} holds no GeoTIFF; give a folder with some, or their paths")
        times = taken(paths)
        order = range(len(paths)) if times is None else sorted(range(len(paths)), key=lambda n: (times[n], n))
        self.files = tuple(paths[n] for n in order)
        in_order = list(self.files) == sorted(self.files, key=natural_order)
        self.names = tuple(path.name for path in self.files) if in_order else ()
        self.dates = () if times is None else tuple(times[n] for n in order)
        self._levels = levels
        self._first = LargePicture(self.files[0], resolution=resolution, levels=levels)
        height, width = self._first.size
        if self._first.ground is None:
            raise MediaError(f"{self._name(0)} does not say where it lies on the ground; give GeoTIFFs with a CRS")
        if height * width > MAX_MAP_PIXELS:
            raise MediaError(
                f"{self._name(0)} has {width:,} x {height:,} pixels, too many for a frame; give a coarser resolution, "
                "or cut out a part (gdal_translate -projwin)"
            )
        self.ground = self._first.ground
        super().__init__(len(self.files), None)

    @property
    def timestamps(self) -> NDArray[np.float64]:
        """Seconds since the first frame, (T,); each frame counts one second if nothing says when it was taken."""
        if not self.dates:
            return np.arange(len(self), dtype=np.float64)
        return np.array([(date - self.dates[0]).total_seconds() for date in self.dates])

    def close(self) -> None:
        self._closed = True
        self._first.close()

    def _image(self, frame: int) -> NDArray[np.uint8]:
        height, width = self._first.size
        if frame == 0:
            return self._first.read((0, 0, width, height))
        with LargePicture(self.files[frame], levels=self._levels, like=self._first) as picture:
            return picture.read((0, 0, width, height))

    def _name(self, frame: int) -> str:
        return self.files[frame].name


def maps_of(files: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[Path]:
    """The GeoTIFFs of a folder, those that are listed, or one by its path."""
    if not isinstance(files, str | PathLike):
        return [Path(file) for file in files]
    path = Path(files)
    return files_in(path, MAP_SUFFIXES) if path.is_dir() else [path] * (path.suffix.lower() in MAP_SUFFIXES)


def is_series(files: str | PathLike[str] | Sequence[str | PathLike[str]]) -> bool:
    """Whether a folder or a list holds pictures that say where they lie, by the first, or a path is one."""
    paths = maps_of(files)
    return bool(paths) and ground_of(paths[0]) is not None


def ground_of(path: Path) -> Ground | None:
    """Where a GeoTIFF lies. Without rasterio nothing says it: pictures are like others then."""
    if path.suffix.lower() not in MAP_SUFFIXES or find_spec("rasterio") is None:
        return None
    try:
        with LargePicture(path, levels=(0, 1)) as picture:
            return picture.ground
    except MediaError:
        return None


def taken(files: Sequence[Path]) -> list[datetime] | None:
    """When each picture was taken, by the first source that tells it of all; None if none does."""
    with needing("geo", files[0].name, MediaError):
        import rasterio
    said: list[tuple[str, str, str]] = []
    for file in files:
        try:
            with rasterio.open(file) as opened:
                tags, imagery = opened.tags(), opened.tags(ns="IMAGERY")
        except rasterio.errors.RasterioIOError:
            tags = imagery = {}  # reading it says what is wrong
        said.append((imagery.get("ACQUISITIONDATETIME", ""), file.stem, tags.get("TIFFTAG_DATETIME", "")))
    for source in zip(*said, strict=True):
        dates = [date for text in source if (date := date_in(text)) is not None]
        if len(dates) == len(files):
            return dates
    return None


def date_in(text: str) -> datetime | None:
    """The first date that a text holds."""
    for found in DATE_IN_NAME.finditer(text):
        year, _, month, day, hour, minute, second = (
            int(part) if (part or "").isdigit() else 0 for part in found.groups()
        )
        try:
            return datetime(year, month, day, hour, minute, second)
        except ValueError:  # the 30th of February
            continue
    return None
