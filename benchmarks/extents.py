"""Masks of the same things from two parts of one map that are cut in different places.

    python benchmarks/extents.py [--model nano] [--points-per-side 12]

A made-up map of 484 roofs is written as a GeoTIFF of half a metre a pixel, and two parts of it that begin 48.5 m and
37 m apart. Everything is looked for in both at one resolution, by tiles that lie on the map, and by tiles that begin at
each part's own corner. Of each mask well inside the common part the best match in the other part is taken.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import masklet
from masklet.image import EverythingOptions, MaskSet, TileOptions
from masklet.masks.shape import Box, common_box

STEP, CORNER, SIDE = 0.5, (691_000.0, 5_334_800.0), 1180
PARTS: tuple[Box, Box] = ((0, 0, 1060, 1060), (97, 74, 1157, 1134))
TILES = TileOptions(320, 80)
MARGINS = (160, 320)
"""Things nearer to the border of the common part, in pixels, are left out: half a tile, and a tile."""


def town(rng: np.random.Generator) -> NDArray[np.uint8]:
    image = rng.normal((90, 110, 80), 8, (SIDE, SIDE, 3))
    for row in range(22):
        for column in range(22):
            height, width = rng.integers(18, 40, 2)
            y, x = row * 53 + rng.integers(0, 12), column * 53 + rng.integers(0, 12)
            image[y : y + height, x : x + width] = rng.normal(rng.integers(90, 220, 3), 6, (height, width, 3))
            image[y : y + height, x + width // 2] -= 40  # the ridge
    return image.clip(0, 255).astype(np.uint8)


def write_part(path: Path, image: NDArray[np.uint8], part: Box) -> Path:
    x0, y0, x1, y1 = part
    place = rasterio.transform.from_origin(CORNER[0] + x0 * STEP, CORNER[1] - y0 * STEP, STEP, STEP)
    with rasterio.open(path, "w", driver="GTiff", height=y1 - y0, width=x1 - x0, count=3, dtype="uint8",
                       crs="EPSG:32632", transform=place) as file:  # fmt: skip
        file.write(image[y0:y1, x0:x1].transpose(2, 0, 1))
    return path


def agreements(found: tuple[MaskSet, MaskSet], margin: int) -> list[float]:
    """IoU of each mask of the first part, so far inside of both, with its best match in the second."""
    west, north, east, south = common_box(*PARTS) or (0, 0, 0, 0)
    values = []
    moved = []
    for masks, part in zip(found, PARTS, strict=True):
        x, y = part[:2]
        moved.append([(tuple(np.add(patch.box, (x, y, x, y)).tolist()), patch) for patch in masks.patches])
    for (x0, y0, x1, y1), patch in moved[0]:
        if x0 < west + margin or y0 < north + margin or x1 > east - margin or y1 > south - margin:
            continue
        best = 0.0
        for box, other in moved[1]:
            if view := common_box((x0, y0, x1, y1), box):
                one = patch.inside[view[1] - y0 : view[3] - y0, view[0] - x0 : view[2] - x0]
                two = other.inside[view[1] - box[1] : view[3] - box[1], view[0] - box[0] : view[2] - box[0]]
                both = int((one & two).sum())
                best = max(best, both / (patch.area + other.area - both))
        values.append(best)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--points-per-side", type=int, default=12)
    arguments = parser.parse_args()
    model, image = masklet.load_model(arguments.model), town(np.random.default_rng(0))
    options = EverythingOptions(points_per_side=arguments.points_per_side)
    table = Table(title=f"the same things from two parts of a map, {arguments.model}")
    for name in ("tiles", "from the border", "things", "mean IoU", "IoU of 1", "IoU under 0.5"):
        table.add_column(name)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        paths = [write_part(Path(folder) / f"{n}.tif", image, part) for n, part in enumerate(PARTS)]
        for name in ("of the map", "of each part"):
            found = []
            for path in paths:
                with masklet.LargePicture(path, resolution=STEP) as picture:
                    if name == "of each part":
                        picture.corner = None
                    found.append(masklet.segment_tiles(picture, model, options, TILES))
            for margin in MARGINS:
                values = np.array(agreements((found[0], found[1]), margin))
                shares = (f"{(values == 1).mean():.0%}", f"{(values < 0.5).mean():.0%}")
                table.add_row(name, f"{margin * STEP:g} m", f"{len(values)}", f"{values.mean():.3f}", *shares)
    Console().print(table)


if __name__ == "__main__":
    main()
