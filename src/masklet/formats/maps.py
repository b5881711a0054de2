"""Maps: polygons of objects, or a raster of their numbers, in the coordinates of the picture that was looked at."""

import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import atomic_write
from masklet.errors import FormatError, needing
from masklet.formats.base import Facts, Format, FrameLike, Sink, rle_of
from masklet.formats.description import label_of
from masklet.geometry import Ground
from masklet.masks.patch import from_rle
from masklet.masks.polygons import Polygon, mask_polygons

FIELDS = ("object", "label", "score", "area")
"""What each polygon says: the object's number, its class, its predicted IoU, its pixels."""

LITTLE, POLYGON, MULTIPOLYGON = 1, 3, 6
"""Of well-known binary (OGC 06-103r4): the order of bytes, and kinds of geometry."""


@contextmanager
def write_polygons(path: Path, facts: Facts, driver: str) -> Iterator[Sink]:
    """One layer, "masks": a multipolygon for each object, along the edges of its pixels."""
    ground = _ground(path, facts)
    with needing("geo", path.name, FormatError):
        import pyogrio.raw
    shapes: list[bytes] = []
    rows: list[tuple[int, str, float, int]] = []

    def write(result: FrameLike) -> None:
        for name, item in result.objects.items():
            if (patch := from_rle(rle_of(item))) is not None:
                found = mask_polygons(patch.inside, facts.tolerance)
                shapes.append(_wkb(found, ground.moved(*patch.box[:2])))
                label = label_of(name, result.descriptions.get(name))
                rows.append((result.indices[name], label, float(item.iou), patch.area))

    yield write
    kinds = (np.int64, object, np.float64, np.int64)
    columns = [np.array([row[place] for row in rows], kind) for place, kind in enumerate(kinds)]
    with atomic_write(path) as temporary:
        ready = temporary.with_name(f"{temporary.name}{path.suffix}")  # GDAL wants the ending
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an empty layer
                pyogrio.raw.write(
                    ready, np.array(shapes, object), columns, list(FIELDS), driver=driver, layer="masks",
                    geometry_type="MultiPolygon", crs=ground.crs,
                )  # fmt: skip
            ready.replace(temporary)
        except pyogrio.errors.DataSourceError as error:
            raise OSError(str(error)) from error
        finally:
            ready.unlink(missing_ok=True)


@contextmanager
def write_raster(path: Path, facts: Facts) -> Iterator[Sink]:
    """A GeoTIFF of object numbers, 0 where there is none, compressed and in blocks."""
    ground = _ground(path, facts)
    with needing("geo", path.name, FormatError):
        import rasterio
    held: list[NDArray[np.uint16]] = []

    def write(result: FrameLike) -> None:
        numbers = result.index_map()
        if numbers.max(initial=0) > np.iinfo(np.uint16).max:
            raise FormatError(f"{path.name} holds object numbers up to 65,535; write gpkg instead")
        held[:] = [numbers.astype(np.uint16)]

    yield write
    height, width = facts.size
    numbers = held[0] if held else np.zeros((height, width), np.uint16)
    settings = {"driver": "GTiff", "dtype": "uint16", "count": 1, "nodata": 0, "compress": "deflate"}
    if min(height, width) >= 256:
        settings |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
    with atomic_write(path) as temporary:
        try:
            with rasterio.open(
                temporary, "w", height=height, width=width, crs=ground.crs,
                transform=rasterio.Affine(*ground.transform), **settings,
            ) as file:  # fmt: skip
                file.write(numbers, 1)
        except rasterio.errors.RasterioError as error:
            raise OSError(str(error)) from error


def _ground(path: Path, facts: Facts) -> Ground:
    if facts.ground is None:
        name = facts.names[0] if facts.names else "the picture"
        raise FormatError(f"{path.name} is a map, and {name} does not say where it lies; give a GeoTIFF, or write coco")
    return facts.ground


def _wkb(polygons: Sequence[Polygon], ground: Ground) -> bytes:
    """A multipolygon as well-known binary, its rings closed."""
    parts = [struct.pack("<BII", LITTLE, MULTIPOLYGON, len(polygons))]
    for polygon in polygons:
        rings = (polygon.outer, *polygon.holes)
        parts.append(struct.pack("<BII", LITTLE, POLYGON, len(rings)))
        for ring in rings:
            places = ground.places(np.concatenate((ring, ring[:1])))
            parts += [struct.pack("<I", len(places)), places.astype("<f8").tobytes()]
    return b"".join(parts)


GPKG, GEOJSON, GEOTIFF = (
    Format(name, line, write, picture=ending)
    for name, ending, write, line in (
        ("gpkg", ".gpkg", partial(write_polygons, driver="GPKG"), "GeoPackage: polygons on the map, with its CRS"),
        ("geojson", ".geojson", partial(write_polygons, driver="GeoJSON"), "GeoJSON: the same polygons"),
        ("geotiff", ".tif", write_raster, "GeoTIFF: object numbers in the grid of the picture"),
    )
)
