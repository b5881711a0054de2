"""Pictures that are too large for memory, read window by window: GeoTIFF, BigTIFF, JPEG 2000, and whatever else GDAL
opens."""

from __future__ import annotations

import os
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError

CACHE = 64 << 20
"""Bytes of decoded blocks that GDAL may keep."""


class LargePicture:
    """A picture in a file, of which only windows are ever in memory; a context manager.

        with LargePicture("aerial.tif") as picture:
            corner = picture.read((0, 0, 512, 512))

    Args:
        path: A raster file with one, three or more bands of uint8 or uint16; of three or more the first three are taken
            as red, green, blue.

    Attributes:
        name: The file's name.
        size: (height, width) in pixels.

    Raises:
        MediaError: The file cannot be read, its values are of another type, or rasterio is not installed.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.name = Path(path).name
        self._rasterio = import_rasterio()
        if not os.path.isfile(path):
            raise MediaError(f"there is no file at {path}; give the path of a picture")
        try:
            with self._settings(), warnings.catch_warnings():
                warnings.simplefilter("ignore", self._rasterio.errors.NotGeoreferencedWarning)
                self._file = self._rasterio.open(path)
        except self._rasterio.errors.RasterioIOError as error:
            raise MediaError(f"{self.name} is not a picture that can be read in windows: {error}") from error
        self.size: tuple[int, int] = (self._file.height, self._file.width)
        kinds = set(self._file.dtypes)
        if not kinds <= {"uint8", "uint16"}:
            self.close()
            raise MediaError(f"{self.name} holds values of type {', '.join(sorted(kinds))}; give uint8 or uint16")

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
                values = self._file.read(bands, window=((y0, y1), (x0, x1)))
        except self._rasterio.errors.RasterioIOError as error:
            raise MediaError(f"{self.name} cannot be read at {box}: {error}; give another copy") from error
        levels = (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values
        return np.ascontiguousarray(np.broadcast_to(levels.transpose(1, 2, 0), (y1 - y0, x1 - x0, 3)))

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> LargePicture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _settings(self) -> Any:
        return self._rasterio.Env(GDAL_CACHEMAX=CACHE)


def import_rasterio() -> Any:
    """The library, or a sentence on how to get it."""
    try:
        import rasterio  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise MediaError("large pictures need rasterio; install it with: pip install 'masklet[geo]'") from None
    return rasterio
