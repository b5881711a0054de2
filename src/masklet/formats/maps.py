"""Maps: polygons of objects, or a raster of their numbers, in the coordinates of the picture that was looked at."""

import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from masklet.atomic import atomic_write
from masklet.errors import FormatError, needing
from masklet.formats.base import Facts, Format, FrameLike, Sink, check_object_numbers, rle_of
from masklet.formats.description import label_of
from masklet.formats.volume import MOST_LABEL
from masklet.formats.writer import frame_files
from masklet.geometry import Ground
from masklet.masks.polygons import Polygon, mask_polygons
from masklet.masks.rle import from_rle

FIELDS = ("object", "label", "score", "area")
"""What each polygon says: the object's number, its class, its predicted IoU, its pixels. In a series of dates also its
frame and when that was taken."""

LITTLE, POLYGON, MULTIPOLYGON = 1, 3, 6
"""Of well-known binary (OGC 06-103r4): the order of bytes, and kinds of geometry."""


@contextmanager
def write_polygons(path: Path, facts: Facts, driver: str) -> Iterator[Sink]:
    """One layer, "masks": a multipolygon for each object, of dates in each frame, along the edges of its pixels."""
    ground = _ground(path, facts)
    with needing("geo", path.name, FormatError):
        import pyogrio.raw
    shapes: list[bytes] = []
    rows: list[tuple[object, ...]] = []
    series = facts.frame_count != 1
    fields = [*FIELDS, *(("frame", "date") if series else ())]
    kinds: tuple[Any, ...] = (np.int64, object, np.float64, np.int64, np.int64, "datetime64[ms]")

    def write(result: FrameLike) -> None:
        for name, item in result.objects.items():
            if (patch := from_rle(rle_of(item))) is not None:
                found = mask_polygons(patch.inside, facts.tolerance)
                shapes.append(_wkb(found, ground.moved(*patch.box[:2])))
                label = label_of(name, result.descriptions.get(name))
                date = facts.dates[result.frame] if result.frame < len(facts.dates) else None
                rows.append((result.indices[name], label, float(item.iou), patch.area, result.frame, date))

    yield write
    columns = [np.array([row[n] for row in rows], kind) for n, kind in zip(range(len(fields)), kinds, strict=False)]
    with atomic_write(path) as temporary:
        ready = temporary.with_name(f"{temporary.name}{path.suffix}")  # GDAL wants the ending
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an empty layer
                pyogrio.raw.write(
                    ready, np.array(shapes, object), columns, fields, driver=driver, layer="masks",
                    geometry_type="MultiPolygon", crs=ground.crs,
                )  # fmt: skip
            ready.replace(temporary)
        except pyogrio.errors.DataSourceError as error:
            raise OSError(str(error)) from error
        finally:
            ready.unlink(missing_ok=True)


def write_raster(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """A GeoTIFF of object numbers, 0 where there is none, compressed and in blocks; of dates a file for each."""
    ground = _ground(path, facts)
    with needing("geo", path.name, FormatError):
        import rasterio
    height, width = facts.size
    settings = {"driver": "GTiff", "dtype": "uint16", "count": 1, "nodata": 0, "compress": "deflate"}
    if min(height, width) >= 256:
        settings |= {"tiled": True, "blockxsize": 256, "blockysize": 256}

    def write(place: Path, result: FrameLike) -> None:
        check_object_numbers(result, most=MOST_LABEL, instead="gpkg")
        try:
            with rasterio.open(
                place, "w", height=height, width=width, crs=ground.crs, transform=rasterio.Affine(*ground.transform),
                **settings,
            ) as file:  # fmt: skip
                file.write(result.index_map().astype(np.uint16), 1)
        except rasterio.errors.RasterioError as error:
            raise OSError(str(error)) from error

    return frame_files(path, facts, ".tif", write)


def _ground(path: Path, facts: Facts) -> Ground:
    if facts.ground is None:
        name = facts.names[0] if facts.names else "the picture"
        raise FormatError(
            f"{path.name} is a map, and {name} does not say where it lies; give a GeoTIFF, or write coco. A session "
            "tracked with --resolution or --levels does not say it either: track once more, with this --format"
        )
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
    Format(name, line, write, picture=picture, video=video, in_space=True)
    for name, picture, video, write, line in (
        ("gpkg", ".gpkg", ".gpkg", partial(write_polygons, driver="GPKG"), "GeoPackage: polygons on the map"),
        ("geojson", ".geojson", ".geojson", partial(write_polygons, driver="GeoJSON"), "GeoJSON: the same polygons"),
        ("geotiff", ".tif", "", write_raster, "GeoTIFF: object numbers in the grid of the picture"),
    )
)
