"""Names from examples: how often a mask gets its name, with 1, 5 and 20 examples of each, and others get none.

    python benchmarks/names.py --data ../shared/data [--model nano]

Nine sources of pictures stand for nine names. Examples are of the first twenty pictures of each in an order that is
drawn anew, tests of the others; two masks of a picture at most. Others are masks of ECSSD, COCO and building fronts. As
pictures of one source are of one kind too, part of what is measured is the kind of picture.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from masklet.image import ImagePredictor
from masklet.image.names import MIN_NAME_LIKENESS, appearances, likenesses, prototypes
from masklet.image.picture import crop_of
from masklet.media.image_file import read_image

NAMES = {
    "outdoor_cats": "cat", "pennfudan": "pedestrian", "nuclei": "nucleus", "weizmann_horses": "horse",
    "balloons": "balloon", "grapes": "grapes", "msrc_cows": "cow", "animals": "wild animal", "desk_items": "desk item",
}  # fmt: skip
OTHERS = ("ecssd", "coco", "facade")
PICTURES, DRAWS, FIRST = 50, 10, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and images")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    predictor = ImagePredictor(args.model)
    rng = np.random.default_rng(0)
    vectors, sources, pictures = seen(predictor, args.data, rng)
    name, rest = np.array([NAMES.get(source, "") for source in sources]), np.array(pictures)
    table = Table(title=f"{args.model}, {len(vectors)} masks, mean of {DRAWS} draws", title_justify="left")
    for column in ("examples", "right, no threshold", "right", "another name", "no name", "others without a name"):
        table.add_column(column, justify="right")
    for count in (1, 5, 20):
        rows = [draw(vectors, name, rest, count, np.random.default_rng(seed), predictor) for seed in range(DRAWS)]
        table.add_row(str(count), *(f"{value:.0%}" for value in np.mean(rows, axis=0)))
    Console(width=110).print(table)


def seen(
    predictor: ImagePredictor, data: Path, rng: np.random.Generator
) -> tuple[NDArray[np.float32], list[str], list[str]]:
    """The vectors (M, C) of masks, and the source and picture of each."""
    rows = [row for row in csv.DictReader((data / "index.csv").open()) if row["kind"] == "image"]
    sources, pictures, crops = [], [], []
    for source in (*NAMES, *OTHERS):
        of_source = [row for row in rows if row["source"] == source]
        for place in rng.permutation(len(of_source))[:PICTURES]:
            row = of_source[place]
            image, labels = read_image(data / row["path"]), np.array(Image.open(data / row["masks"]))
            counts = np.bincount(labels.ravel(), minlength=256)[1:255]
            large = np.flatnonzero(counts >= max(150, labels.size / 1000)) + 1
            for number in rng.permutation(large)[:2]:
                crops.append(crop_of(image, labels == number, row["masks"]))
                sources.append(source)
                pictures.append(row["path"])
    return appearances(predictor, crops), sources, pictures


def draw(
    vectors: NDArray[np.float32],
    name: NDArray[np.str_],
    picture: NDArray[np.str_],
    count: int,
    rng: np.random.Generator,
    predictor: ImagePredictor,
) -> tuple[float, ...]:
    """The figures of the table for so many examples of each name, means over names."""
    examples: list[int] = []
    tests: dict[str, NDArray[np.int64]] = {}
    for known in NAMES.values():
        order = rng.permutation(np.unique(picture[name == known]))
        examples += [int(rng.choice(np.flatnonzero(picture == one))) for one in order[:count]]
        tests[known] = np.flatnonzero(np.isin(picture, order[min(FIRST, len(order) - 5) :]))
    kinds = prototypes(vectors[examples], name[examples].tolist(), predictor.engine.config)
    figures = []
    for known, places in tests.items():
        rows = likenesses(vectors[places], kinds)
        right, told = np.array(kinds.names)[rows.argmax(axis=1)] == known, rows.max(axis=1) >= MIN_NAME_LIKENESS
        figures.append((right.mean(), (right & told).mean(), (~right & told).mean(), (~told).mean()))
    others = likenesses(vectors[name == ""], kinds).max(axis=1) < MIN_NAME_LIKENESS
    return (*np.mean(figures, axis=0), float(others.mean()))


if __name__ == "__main__":
    main()
