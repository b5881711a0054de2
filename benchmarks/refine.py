"""What a second look is worth: mean IoU of small objects with and without `refine=True`.

    python benchmarks/refine.py --data ../shared/data [--model nano] [--objects 150]

Objects of the validation pictures that cover up to 3 % of them, drawn by a fixed seed. Each is pointed at by one click
in its middle, and by its box; of a click's three masks the best-scored counts. Seconds of a processor, on one thread;
a click's second look encodes a crop for each of its three masks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from clicks import drawn_objects
from rich.console import Console
from rich.table import Table

from masklet.formats.davis import read_index_png
from masklet.image import ImagePredictor
from masklet.masks.shape import central_click, mask_box
from masklet.metrics.jf import region_similarity

LARGEST = 0.03
"""Share of the picture."""

SAID = ("click", "box")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and images")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--objects", type=int, default=150)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    predictor = ImagePredictor(args.model)
    ious: dict[tuple[str, bool], list[float]] = {
        (said, again): [] for said in ("click", "box") for again in (False, True)
    }
    looked, seconds = dict.fromkeys(SAID, 0), dict.fromkeys(ious, 0.0)
    for row, number in drawn_objects(args.data, args.objects, largest=LARGEST):
        picture = predictor.encode(args.data / row["path"])
        truth = read_index_png(args.data / row["masks"]) == number
        click = central_click(None, truth)
        assert click is not None, "objects have pixels"
        said = {"click": {"points": [(click.x, click.y)]}, "box": {"boxes": mask_box(truth)}}
        for name, again in ious:
            began = time.process_time()
            answer = predictor.predict(picture, **said[name], refine=again).best
            seconds[name, again] += time.process_time() - began
            ious[name, again].append(float(region_similarity(answer[0], truth)))
            looked[name] += any(answer.details)
    table = Table(title=f"{args.model}, {len(ious['box', False])} small objects", title_justify="left")
    for column in ("pointed at by", "mean IoU", "with a second look", "looked at again", "s each", "s with"):
        table.add_column(column, justify="left" if column == "pointed at by" else "right")
    for name, count in looked.items():
        values = ious[name, False], ious[name, True]
        means = [f"{np.mean(v):.3f}" for v in values]
        costs = [f"{seconds[name, again] / len(values[0]):.3f}" for again in (False, True)]
        table.add_row(name, *means, f"{count / len(values[0]):.0%}", *costs)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
