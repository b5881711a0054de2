"""A sheet to look at: masks of animals cut out with hard and with soft edges, on a plain background.

    python benchmarks/soft_edges.py --data ../shared/data --sheet docs/images/soft_edges.jpg

True masks of pictures in the public domain. Left the picture, in the middle the mask as it is, right the alpha matte.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.formats.davis import read_index_png
from masklet.masks.guided import mask_alpha
from masklet.masks.refine import blend, own_colors
from masklet.masks.shape import mask_box
from masklet.media.image_file import read_image

SOURCE = "outdoor_cats"
SHOWN = (4, 17)
BACKGROUND = (60, 160, 90)
SIDE = 280


def largest_object(path: Path) -> NDArray[np.bool_]:
    """bool (H, W)"""
    index = read_index_png(path)
    numbers, areas = np.unique(index[index > 0], return_counts=True)
    return index == numbers[areas.argmax()]


def row_of(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The top of the object: the picture, cut out hard, and cut out softly."""
    hard, soft = mask_alpha(image, mask, "hard"), mask_alpha(image, mask, "soft")
    shown = [image, *(blend(own_colors(image, alpha), alpha, BACKGROUND) for alpha in (hard, soft))]
    x0, y0, x1, y1 = mask_box(mask).tolist()
    side = min(150, *image.shape[:2])
    x = int(np.clip((x0 + x1 - side) / 2, 0, image.shape[1] - side))
    y = int(np.clip(y0 - 10, 0, image.shape[0] - side))
    crops = [Image.fromarray(picture[y : y + side, x : x + side]) for picture in shown]
    return np.hstack([np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.LANCZOS)) for crop in crops])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and images")
    parser.add_argument("--sheet", type=Path, required=True)
    args = parser.parse_args()
    rows = [row for row in csv.DictReader((args.data / "index.csv").open()) if row["source"] == SOURCE]
    sheet = [
        row_of(read_image(args.data / rows[n]["path"]), largest_object(args.data / rows[n]["masks"])) for n in SHOWN
    ]
    Image.fromarray(np.vstack(sheet)).save(args.sheet, quality=82)


if __name__ == "__main__":
    main()
