"""Peak memory of everything in a large photograph, and of a picture beyond memory by tiles.

    python benchmarks/large.py photo [--model sam2.1-tiny] [--points-per-side 32] [--threads 2]
    python benchmarks/large.py tiles [--model nano] [--side 20000] [--tiles 8] [--threads 2]

`photo` finds everything in 4000 x 3000 pixels, with random weights where the model is not in the package, and keeps
every mask, however bad: more than a trained model leaves. `tiles` writes a tiled TIFF, looks at the first so many tiles
and tells how long all would take; memory does not depend on how many are done but for their run lengths.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from image import soft_shapes

import masklet
from masklet.checkpoints import Model
from masklet.image import EverythingOptions, TileOptions, segment_everything
from masklet.image.tiles import find_by_tile, merge_tiles, plan_tiles
from masklet.media.large import LargePicture

BLOCK = 512
"""Side of a block of the TIFF that is written."""


def peak() -> float:
    """The most memory that this process ever held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (30 if sys.platform == "darwin" else 20))


def photo(model: Model, points_per_side: int) -> dict[str, Any]:
    """Everything in 12 megapixels."""
    picture = np.ascontiguousarray(soft_shapes(750, 1000).repeat(4, axis=0).repeat(4, axis=1))
    all_masks = EverythingOptions(points_per_side=points_per_side, least_iou=0, least_stability=0, most_overlap=1)
    before = peak()
    begin = time.perf_counter()
    masks = segment_everything(picture, model, all_masks)
    return {"masks": len(masks), "seconds": time.perf_counter() - begin, "before": before, "peak": peak()}


def tiles(model: Model, side: int, count: int, points_per_side: int) -> dict[str, Any]:
    """The first tiles of a picture of side x side pixels."""
    options = EverythingOptions(points_per_side=points_per_side, least_iou=0.5, least_stability=0.7)
    cut = TileOptions()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.tif"
        write_picture(path, side)
        before = peak()
        begin = time.perf_counter()
        with LargePicture(path) as picture:
            found = list(islice(find_by_tile(model, picture, options, cut), count))
            masks = merge_tiles(found, cut.agreement)
            planned = len(plan_tiles(picture.size, cut))
    seconds = time.perf_counter() - begin
    return {
        "tiles": len(found),
        "masks": len(masks),
        "seconds": seconds,
        "all tiles": planned,
        "hours for all": seconds / len(found) * planned / 3600,
        "before": before,
        "peak": peak(),
    }


def write_picture(path: Path, side: int) -> None:
    """A tiled TIFF of soft shapes, block by block."""
    bands = soft_shapes(BLOCK, BLOCK).transpose(2, 0, 1)
    settings = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate"}
    place = rasterio.transform.from_origin(10, 50, 0.1, 0.1)
    with (
        rasterio.Env(GDAL_CACHEMAX=64 << 20),
        rasterio.open(path, "w", height=side, width=side, count=3, dtype="uint8", transform=place, **settings) as file,
    ):
        for y in range(0, side, BLOCK):
            for x in range(0, side, BLOCK):
                height, width = min(BLOCK, side - y), min(BLOCK, side - x)
                window = ((y, y + height), (x, x + width))
                file.write(np.roll(bands, (x + y) // 7, axis=2)[:, :height, :width], window=window)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["photo", "tiles"])
    parser.add_argument("--model")
    parser.add_argument("--points-per-side", type=int, default=32)
    parser.add_argument("--side", type=int, default=20000)
    parser.add_argument("--tiles", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/large.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    name = args.model or {"photo": "sam2.1-tiny", "tiles": "nano"}[args.what]
    model = masklet.load_model(name) if name == "nano" else masklet.build_model(name, seed=0)
    if args.what == "photo":
        figures = photo(model, args.points_per_side)
    else:
        figures = tiles(model, args.side, args.tiles, args.points_per_side)
    for key, value in figures.items():
        print(f"{key:>14}: {value:.2f}" if isinstance(value, float) else f"{key:>14}: {value}")
    machine = {"processor": platform.processor(), "cores": os.cpu_count(), "torch": torch.__version__}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(
        json.dumps({"machine": machine, "arguments": vars(args), "figures": figures}, indent=2, default=str)
    )


if __name__ == "__main__":
    main()
