"""Pictures that are too large for memory, read window by window: GeoTIFF, BigTIFF, JPEG 2000, and whatever else GDAL
opens; and the tiles of maps on the web."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import MediaError, needing
from masklet.geometry import Ground

BLOCK_CACHE_BYTES = 64 << 20
"""Bytes of decoded blocks that GDAL may keep."""

DEGREES, WEB, HALF = "EPSG:4326", "EPSG:3857", 20_037_508.342789244
"""Longitude and latitude; the map of the web, and half of its side in its own metres."""

TILE, DEEPEST, MAX_TILES = 256, 23, 4_096
"""Pixels of a tile's side, the highest zoom, and the most tiles of a picture."""

MAX_LATITUDE = 85.06
"""Degrees of latitude at which the map of the web ends."""

METRES_PER_DEGREE = 111_195.0
"""Metres of a degree of latitude, to half a per cent."""

METRE_TOLERANCE = 0.02
"""Units of a CRS are metres if they cover a metre on the ground to this share."""

TILE_SERVICE = """<GDAL_WMS>
<Service name="TMS"><ServerUrl>{url}</ServerUrl></Service>
<DataWindow><UpperLeftX>{west}</UpperLeftX><UpperLeftY>{north}</UpperLeftY><LowerRightX>{east}</LowerRightX>
<LowerRightY>{south}</LowerRightY><TileLevel>{zoom}</TileLevel><YOrigin>top</YOrigin></DataWindow>
<Projection>{crs}</Projection><BlockSizeX>{side}</BlockSizeX><BlockSizeY>{side}</BlockSizeY><BandsCount>3</BandsCount>
<OverviewCount>0</OverviewCount><Timeout>30</Timeout><UserAgent>masklet</UserAgent>
<Cache><Path>{cache}</Path></Cache></GDAL_WMS>"""
"""What GDAL's WMS driver wants to know of tiles; each is fetched once."""


class LargePicture:
    """A picture in a file, or of tiles on the web, of which only windows are ever in memory; a context manager.

        with LargePicture("aerial.tif") as picture:
            corner = picture.read((0, 0, 512, 512))

    Args:
        path: A raster file with one band, grey or with a palette, or with three or more, of which the first three are
            taken as red, green, blue; or the URL of tiles, "https://host/{z}/{x}/{y}.png".
        resolution: Metres on the ground that a pixel is to cover, whatever the file has: things are then shown to a
            model at one scale. The picture is brought to it, its corner to a multiple of it. If its CRS does not count
            in metres on the ground it is brought to UTM too. None: as the file is.
        bounds: Of tiles: west, south, east, north, in degrees.
        zoom: Of tiles; if not given the lowest that shows the resolution.
        like: Another picture, to whose grid this one is brought; it shows a part of the same place.
        levels: The values that are black and white. Not given, uint8 is shown as it is, and of uint16 the upper eight
            bits count.

    Attributes:
        name: The file's name, or the host of the tiles.
        size: (height, width) in pixels.
        ground: Where the pixels lie on the ground; None if the file does not say.
        corner: The pixel (x, y) of the whole map, in the same grid, at which the picture begins; None for a file as it
            is.

    Raises:
        MediaError: The file cannot be read, its values need levels, it lies nowhere on the ground where a resolution is
            asked for, tiles have no bounds or are too many, or rasterio is not installed.
    """

    ground: Ground | None = None
    corner: tuple[int, int] | None = None

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        resolution: float | None = None,
        bounds: Sequence[float] | None = None,
        zoom: int | None = None,
        like: LargePicture | None = None,
        levels: Sequence[float] | None = None,
    ) -> None:
        web = "://" in str(path)
        self.name = (urlsplit(str(path)).hostname or str(path)) if web else Path(path).name
        with needing("geo", self.name, MediaError):
            import rasterio
            import rasterio.vrt
            import rasterio.warp
        self._rasterio: Any = rasterio
        if resolution is not None and not (np.isfinite(resolution) and resolution > 0):
            raise MediaError(f"the resolution is {resolution!r}; give metres a pixel, over 0")
        self._levels = None if levels is None else _checked_levels(levels)
        with ExitStack() as closing:
            if web:
                self._shown = self._tiles(closing, str(path), resolution, bounds, zoom)
            elif bounds is not None or zoom is not None:
                raise MediaError(f"{self.name} is a file, and bounds and zoom are for tiles by URL; leave them out")
            else:
                self._shown = self._raster(closing, path, resolution, like)
            kinds = set(self._shown.dtypes)
            if self._levels is None and not kinds <= {"uint8", "uint16"}:
                raise MediaError(
                    f"{self.name} holds values of type {', '.join(sorted(kinds))}; give levels, those that are black "
                    "and white"
                )
            if any("complex" in kind for kind in kinds):
                raise MediaError(f"{self.name} holds complex values; give a picture of real ones")
            self._closing = closing.pop_all()
        turn = "" if self._shown.crs else str(self._shown.tags().get("EXIF_Orientation"))  # of a JPEG; see `read`
        self._sideways, self._across, self._down = turn in [*"5678"], turn in [*"2367"], turn in [*"3478"]
        height, width = self._shown.height, self._shown.width
        self.size: tuple[int, int] = (width, height) if self._sideways else (height, width)
        if self._shown.crs is not None and not self._shown.transform.is_identity:
            a, b, c, d, e, f = tuple(self._shown.transform)[:6]
            self.ground = Ground(self._shown.crs.to_wkt(), (a, b, c, d, e, f))
            if web or resolution is not None:
                self.corner = (round(c / a), round(f / e))

    def _raster(
        self, closing: ExitStack, path: str | PathLike[str], resolution: float | None, like: LargePicture | None
    ) -> Any:
        """A file, as if its pixels covered so many metres each, or in the grid of another."""
        if not os.path.isfile(path):
            raise MediaError(f"there is no file at {path}; give the path of a picture")
        file = self._opened(closing, path)
        self._places = file.crs
        if resolution is None and like is None:
            return file
        if file.crs is None or file.transform.is_identity:
            raise MediaError(f"{self.name} does not say where it lies on the ground; give a GeoTIFF with a CRS")
        warp, bounds = self._rasterio.warp, tuple(file.bounds)
        if like is not None:
            grid = like._shown
            west, south, east, north = warp.transform_bounds(file.crs, grid.crs, *bounds)
            if not (west < grid.bounds.right and grid.bounds.left < east and south < grid.bounds.top
                    and grid.bounds.bottom < north):  # fmt: skip
                raise MediaError(f"{self.name} lies elsewhere than {like.name}; give pictures of one place")
            return closing.enter_context(self._brought(file, grid.crs, grid.transform, grid.width, grid.height))
        assert resolution is not None, "a file with neither was given back"
        crs, unit = self._in_metres(file.crs, bounds)
        native = warp.calculate_default_transform(file.crs, crs, file.width, file.height, *bounds)[0]
        if crs != file.crs:
            bounds = warp.transform_bounds(file.crs, crs, *bounds)
        return closing.enter_context(self._warped(file, crs, bounds, resolution / unit, native.a))

    def _tiles(
        self,
        closing: ExitStack,
        url: str,
        resolution: float | None,
        bounds: Sequence[float] | None,
        zoom: int | None,
    ) -> Any:
        """The part of a map on the web, in its own pixels or at a resolution."""
        missing = [part for part in ("{z}", "{x}", "{y}") if part not in url]
        if missing:
            raise MediaError(
                f"{url} has no {missing[0]}; give the URL of tiles, such as https://host/{{z}}/{{x}}/{{y}}.png"
            )
        west, south, east, north = edges = _checked_bounds(self.name, bounds)
        metres = 2 * HALF / TILE * np.cos(np.radians((south + north) / 2))  # of a pixel at zoom 0
        if zoom is None:
            if resolution is None:
                raise MediaError(f"nothing says how finely {self.name} is to be read; give a resolution or a zoom")
            zoom = int(np.clip(np.ceil(np.log2(metres / resolution) - 0.01), 0, DEEPEST))
        if not 0 <= zoom <= DEEPEST:
            raise MediaError(f"the zoom is {zoom!r}; give a whole number from 0 to {DEEPEST}")
        crs = WEB if resolution is None else _utm((west + east) / 2, (south + north) / 2)
        step, own = resolution or 2 * HALF / (TILE << zoom), 2 * HALF / (1 << zoom)
        warp = self._rasterio.warp
        extent = warp.transform_bounds(DEGREES, crs, *edges)
        there = np.array(warp.transform_bounds(crs, WEB, *extent)) / own
        count = int(np.prod(np.floor(there[2:]) - np.floor(there[:2]) + 1))
        if count > MAX_TILES:
            raise MediaError(
                f"{self.name} would be {count:,} tiles of zoom {zoom}, and {MAX_TILES:,} are the most; give smaller "
                "bounds, or a lower zoom"
            )
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="masklet-tiles-"))
        told = TILE_SERVICE.format(
            url=escape(url.replace("{", "${")), zoom=zoom, crs=WEB, side=TILE, cache=escape(f"{folder}/cache"),
            west=-HALF, north=HALF, east=HALF, south=-HALF,
        )  # fmt: skip
        file = self._opened(closing, told)
        self._places = self._rasterio.CRS.from_user_input(DEGREES)
        native = step if resolution is None else metres / (1 << zoom)
        return closing.enter_context(self._warped(file, self._rasterio.CRS.from_user_input(crs), extent, step, native))

    def _opened(self, closing: ExitStack, path: str | PathLike[str]) -> Any:
        try:
            with self._rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE_BYTES), warnings.catch_warnings():
                warnings.simplefilter("ignore", self._rasterio.errors.NotGeoreferencedWarning)
                file = closing.enter_context(self._rasterio.open(path))
                if self._levels is not None or file.colorinterp[0] != self._rasterio.enums.ColorInterp.palette:
                    return file
                return closing.enter_context(self._rasterio.open(f"vrt://{os.path.abspath(path)}?expand=rgb"))
        except self._rasterio.errors.RasterioIOError as error:
            raise MediaError(f"{self.name} is not a picture that can be read in windows: {error}") from error

    def _in_metres(self, crs: Any, bounds: Sequence[float]) -> tuple[Any, float]:
        """A CRS and the metres of its unit: the picture's own if that counts metres on the ground, else UTM."""
        x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
        unit = crs.linear_units_factor[1] if crs.is_projected else 1.0
        step = 1000 / unit if crs.is_projected else 0.0
        (longitude, other), (latitude, up) = self._rasterio.warp.transform(crs, DEGREES, [x, x + step], [y, y])
        length = np.hypot((other - longitude) * np.cos(np.radians(latitude)), up - latitude) * METRES_PER_DEGREE
        if crs.is_projected and abs(length / 1000 - 1) <= METRE_TOLERANCE:
            return crs, unit
        if not (np.isfinite(longitude) and np.isfinite(latitude)):
            raise MediaError(f"{self.name} lies outside of its CRS; give a picture that says where it is")
        return self._rasterio.CRS.from_user_input(_utm(longitude, latitude)), 1.0

    def _warped(self, file: Any, crs: Any, bounds: Sequence[float], step: float, native: float) -> Any:
        """A file brought to a CRS, its corner to a multiple of a step. `native` is the step that it has itself."""
        left, bottom = (np.floor(value / step + 1e-6) * step for value in bounds[:2])
        right, top = (np.ceil(value / step - 1e-6) * step for value in bounds[2:])
        width, height = round((right - left) / step), round((top - bottom) / step)
        if max(width, height) >= 1 << 31:
            raise MediaError(f"{self.name} would have {width} x {height} pixels of {step:g} m; give more")
        place = self._rasterio.transform.from_origin(left, top, step, step)
        return self._brought(file, crs, place, max(width, 1), max(height, 1), coarser=step > native * 1.001)

    def _brought(self, file: Any, crs: Any, place: Any, width: int, height: int, *, coarser: bool = False) -> Any:
        ways = self._rasterio.enums.Resampling
        return self._rasterio.vrt.WarpedVRT(
            file, crs=crs, transform=place, width=width, height=height,
            resampling=ways.average if coarser else ways.bilinear,
        )  # fmt: skip

    def pixels(self, places: ArrayLike) -> NDArray[np.float64]:
        """(P, 2) x and y in pixels, as prompts have them, of places (P, 2) in the picture's own CRS; of tiles, of
        longitudes and latitudes.

        Raises:
            MediaError: The file does not say where it lies, or a place lies outside.
        """
        if self.ground is None:
            raise MediaError(f"{self.name} does not say where it lies on the ground; give pixels")
        told, (height, width) = np.asarray(places, np.float64).reshape(-1, 2), self.size
        corners = self.ground.corners(self._moved(self._places, self._shown.crs, told))
        if not ((corners >= 0) & (corners <= (width, height))).all():
            ends = self._moved(self._shown.crs, self._places, self.ground.places([(0, 0), (width, height)]))
            (west, north), (east, south) = ends
            raise MediaError(
                f"a place lies outside of {self.name}, which reaches from {west:.10g},{north:.10g} to "
                f"{east:.10g},{south:.10g}; give one within, in its own CRS"
            )
        return corners - 0.5

    def _moved(self, before: Any, after: Any, places: NDArray[np.float64]) -> NDArray[np.float64]:
        if before == after:
            return places
        return np.array(self._rasterio.warp.transform(before, after, *places.T)).T

    def read(self, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """A window, (x0, y0, x1, y1) in pixels, as uint8 (H, W, 3), RGB; of a JPEG upright by its EXIF note.

        Raises:
            MediaError: The window does not lie in the picture, the file is damaged there, or a tile cannot be had.
        """
        height, width = self.size
        x0, y0, x1, y1 = box
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise MediaError(f"the window {box} does not lie in {self.name}, {width} wide and {height} high")
        bands = [1, 2, 3] if self._shown.count >= 3 else [1]
        columns = (width - x1, width - x0) if self._across else (x0, x1)
        rows = (height - y1, height - y0) if self._down else (y0, y1)
        try:
            with self._rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE_BYTES):
                values = self._shown.read(bands, window=(columns, rows) if self._sideways else (rows, columns))
        except self._rasterio.errors.RasterioIOError as error:
            raise MediaError(f"{self.name} cannot be read at {box}: {_reason(error)}") from error
        if self._levels is not None:
            low, high = self._levels
            values = np.nan_to_num((values.astype(np.float32) - low) / (high - low)).clip(0, 1) * 255
            values = values.round().astype(np.uint8)
        levels = (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values
        upright = levels.transpose((2, 1, 0) if self._sideways else (1, 2, 0))
        upright = upright[:: -1 if self._down else 1, :: -1 if self._across else 1]
        return np.ascontiguousarray(np.broadcast_to(upright, (y1 - y0, x1 - x0, 3)))

    def close(self) -> None:
        """Give the file back."""
        self._closing.close()

    def __enter__(self) -> LargePicture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _checked_bounds(name: str, bounds: Sequence[float] | None) -> tuple[float, float, float, float]:
    if bounds is None:
        raise MediaError(f"{name} shows the whole world; give bounds: west,south,east,north in degrees")
    west, south, east, north = bounds if len(bounds) == 4 else (np.nan,) * 4
    if not (-180 <= west < east <= 180 and -MAX_LATITUDE < south < north < MAX_LATITUDE):
        told = ",".join(f"{value:g}" for value in bounds)
        raise MediaError(f"the bounds are {told}; give west,south,east,north in degrees, within 180 and 85")
    return west, south, east, north


def _checked_levels(levels: Sequence[float]) -> tuple[float, float]:
    low, high = levels if len(levels) == 2 else (np.nan, np.nan)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        told = ",".join(f"{value:g}" for value in levels)
        raise MediaError(f"the levels are {told}; give two numbers, the value that is black and a higher one")
    return low, high


def _utm(longitude: float, latitude: float) -> str:
    """The zone of UTM around a place."""
    zone = int((longitude + 180) // 6) % 60 + 1
    return f"EPSG:{32_600 + zone if latitude >= 0 else 32_700 + zone}"


def _reason(error: BaseException | None) -> str:
    """What GDAL says that went wrong, in one line."""
    said: list[str] = []
    while error is not None:
        said.append(" ".join(str(error).split()))
        error = error.__cause__
    told = " ".join(said)
    if tile := re.search(r"block (\d+), (\d+)\. URL:.*?HTTP status code: (\d+), error: (.*?)\. Add", told):
        x, y, status, fault = tile.groups()
        if status != "0":
            return f"its server answers HTTP {status} for the tile x {x}, y {y}; give other bounds or another zoom"
        return f"{fault}; is the URL right, and is there a network?"
    if "wmsresult" in told:
        return "a tile is no picture that can be read; is the URL right?"
    return f"{said[-1]:.200}; give another copy"
