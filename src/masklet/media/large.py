"""Pictures that are too large for memory, read window by window: GeoTIFF, BigTIFF, JPEG 2000, and whatever else GDAL
opens."""

from __future__ import annotations

import os
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import MediaError, needing
from masklet.geometry import Ground

CACHE = 64 << 20
"""Bytes of decoded blocks that GDAL may keep."""


class LargePicture:
    """A picture in a file, of which only windows are ever in memory; a context manager.

        with LargePicture("aerial.tif") as picture:
            corner = picture.read((0, 0, 512, 512))

    Args:
        path: A raster file with one, three or more bands of uint8 or uint16; of three or more the first three are taken
            as red, green, blue.
        resolution: Metres on the ground that a pixel is to cover, whatever the file has: things are then shown to a
            model at one scale. The picture is brought to it, its corner to a multiple of it. None: as the file is.

    Attributes:
        name: The file's name.
        size: (height, width) in pixels.
        ground: Where the pixels lie on the ground; None if the file does not say.

    Raises:
        MediaError: The file cannot be read, its values are of another type, it lies nowhere on the ground where a
            resolution is asked for, or rasterio is not installed.
    """

    ground: Ground | None = None

    def __init__(self, path: str | PathLike[str], *, resolution: float | None = None) -> None:
        self.name = Path(path).name
        with needing("geo", self.name, MediaError):
            import rasterio
            import rasterio.vrt
        self._rasterio: Any = rasterio
        if not os.path.isfile(path):
            raise MediaError(f"there is no file at {path}; give the path of a picture")
        try:
            with self._settings(), warnings.catch_warnings():
                warnings.simplefilter("ignore", self._rasterio.errors.NotGeoreferencedWarning)
                self._file = self._rasterio.open(path)
        except self._rasterio.errors.RasterioIOError as error:
            raise MediaError(f"{self.name} is not a picture that can be read in windows: {error}") from error
        self._shown = self._file
        try:
            kinds = set(self._file.dtypes)
            if not kinds <= {"uint8", "uint16"}:
                raise MediaError(f"{self.name} holds values of type {', '.join(sorted(kinds))}; give uint8 or uint16")
            if resolution is not None:
                self._shown = self._at(resolution)
        except BaseException:
            self.close()
            raise
        self.size: tuple[int, int] = (self._shown.height, self._shown.width)
        if self._shown.crs is not None and not self._shown.transform.is_identity:
            a, b, c, d, e, f = tuple(self._shown.transform)[:6]
            self.ground = Ground(self._shown.crs.to_wkt(), (a, b, c, d, e, f))

    def _at(self, resolution: float) -> Any:
        """The file as if its pixels covered so many metres each."""
        crs, bounds = self._file.crs, self._file.bounds
        if not (np.isfinite(resolution) and resolution > 0):
            raise MediaError(f"the resolution is {resolution!r}; give metres a pixel, over 0")
        if crs is None or self._file.transform.is_identity:
            raise MediaError(f"{self.name} does not say where it lies on the ground; give a GeoTIFF with a CRS")
        if not crs.is_projected:
            raise MediaError(f"{self.name} counts in degrees; bring it to a map in metres, such as UTM (gdalwarp)")
        step = resolution / crs.linear_units_factor[1]
        left, bottom = (np.floor(value / step) * step for value in (bounds.left, bounds.bottom))
        right, top = (np.ceil(value / step) * step for value in (bounds.right, bounds.top))
        width, height = round((right - left) / step), round((top - bottom) / step)
        if max(width, height) >= 1 << 31:
            raise MediaError(f"{self.name} would have {width} x {height} pixels of {resolution:g} m; give more")
        place = self._rasterio.transform.from_origin(left, top, step, step)
        coarser = step > max(self._file.res)
        way = self._rasterio.enums.Resampling.average if coarser else self._rasterio.enums.Resampling.bilinear
        return self._rasterio.vrt.WarpedVRT(
            self._file, crs=crs, transform=place, width=width, height=height, resampling=way
        )

    def pixels(self, places: ArrayLike) -> NDArray[np.float64]:
        """(P, 2) x and y in pixels, as prompts have them, of places (P, 2) in coordinates of the map.

        Raises:
            MediaError: The file does not say where it lies, or a place lies outside.
        """
        if self.ground is None:
            raise MediaError(f"{self.name} does not say where it lies on the ground; give pixels")
        corners, (height, width) = self.ground.corners(places), self.size
        if ((corners < 0) | (corners > (width, height))).any():
            (west, north), (east, south) = self.ground.places([(0, 0), (width, height)])
            raise MediaError(
                f"a place lies outside of {self.name}, which reaches from {west:.10g},{north:.10g} to "
                f"{east:.10g},{south:.10g}; give one within, in its own CRS"
            )
        return corners - 0.5

    def read(self, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """A window, (x0, y0, x1, y1) in pixels, as uint8 (H, W, 3), RGB. Of 16 bits the upper eight count.

        Raises:
            MediaError: The window does not lie in the picture, or the file is damaged there.
        """
        height, width = self.size
        x0, y0, x1, y1 = box
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise MediaError(f"the window {box} does not lie in {self.name}, {width} wide and {height} high")
        bands = [1, 2, 3] if self._file.count >= 3 else [1]
        try:
            with self._settings():
                values = self._shown.read(bands, window=((y0, y1), (x0, x1)))
        except self._rasterio.errors.RasterioIOError as error:
            raise MediaError(f"{self.name} cannot be read at {box}: {error}; give another copy") from error
        levels = (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values
        return np.ascontiguousarray(np.broadcast_to(levels.transpose(1, 2, 0), (y1 - y0, x1 - x0, 3)))

    def close(self) -> None:
        """Give the file back."""
        self._shown.close()
        self._file.close()

    def __enter__(self) -> LargePicture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _settings(self) -> Any:
        return self._rasterio.Env(GDAL_CACHEMAX=CACHE)
