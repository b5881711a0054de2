"""How good masks become with more clicks: mean IoU after 1 to 10 of them, each on the centre of the largest error.

    python benchmarks/clicks.py --data ../shared/data [--model nano] [--objects 300] [--plot docs/images/clicks.png]

Objects of the validation pictures, drawn by a fixed seed from those of at least 200 pixels, as many from each source as
there are. The annotator knows the true mask: the first click lies in the middle of the object, each further one where
the mask is most wrong, to include or to exclude. From the second click on, the logits of the last answer come with the
clicks; `--afresh` leaves them out. The share of objects is told besides that a click made worse by more than 0.05.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from masklet.formats.davis import read_index_png
from masklet.image import EncodedImage, ImagePredictor
from masklet.masks.draw import bright_color
from masklet.masks.shape import central_click

CLICKS = 10
MIN_PIXELS = 200
WORSE = 0.05
VOID = 255

Row = dict[str, str]


def drawn_objects(data: Path, count: int, *, largest: float = 1.0) -> list[tuple[Row, int]]:
    """Pictures and numbers of objects that cover up to a share of them, one source after another in turn."""
    rows = csv.DictReader((data / "index.csv").open())
    by_source: dict[str, list[tuple[Row, int]]] = defaultdict(list)
    for row in rows:
        if row["kind"] != "image" or row["split"] != "val":
            continue
        index = read_index_png(data / row["masks"])
        numbers, areas = np.unique(index, return_counts=True)
        fitting = (areas >= MIN_PIXELS) & (areas <= largest * index.size) & (numbers > 0) & (numbers != VOID)
        by_source[row["source"]] += [(row, int(n)) for n in numbers[fitting]]
    dice = random.Random(0)
    turns = [dice.sample(objects, len(objects)) for objects in by_source.values()]
    longest = max(map(len, turns))
    return [objects[n] for n in range(longest) for objects in turns if n < len(objects)][:count]


def clicked(predictor: ImagePredictor, picture: EncodedImage, truth: NDArray[np.bool_], *, afresh: bool) -> list[float]:
    """The IoU after each click; a perfect mask stays."""
    points: list[tuple[float, float]] = []
    labels: list[int] = []
    ious: list[float] = []
    mask, logits = None, None
    while len(ious) < CLICKS:
        click = central_click(mask, truth)
        if click is None:
            return ious + [1.0] * (CLICKS - len(ious))
        points.append((click.x, click.y))
        labels.append(click.label)
        answer = predictor.predict(picture, points=points, labels=labels, masks=logits).best
        mask, logits = answer[0], None if afresh else answer.logits[0]
        ious.append(np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth))
    return ious


def plot(means: NDArray[np.float64], path: Path) -> None:
    """A small curve of IoU over clicks, drawn at four times its size and reduced."""
    scale, width, height, left, foot = 4, 420, 240, 44, 32
    canvas = np.full((height * scale, width * scale, 3), 255, np.uint8)

    def place(clicks: float, iou: float) -> tuple[int, int]:
        x = left + (clicks - 1) / (CLICKS - 1) * (width - left - 16)
        y = (height - foot) - (iou - 0.4) / 0.6 * (height - foot - 12)
        return round(x * scale), round(y * scale)

    def write(text: str, at: tuple[int, int], dx: int, dy: int) -> None:
        spot = (at[0] + dx * scale, at[1] + dy * scale)
        cv2.putText(canvas, text, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.42 * scale, (90, 90, 90), scale, cv2.LINE_AA)

    for iou in (0.4, 0.6, 0.8, 1.0):
        cv2.line(canvas, place(1, iou), place(CLICKS, iou), (222, 222, 222), scale, cv2.LINE_AA)
        write(f"{iou:.1f}", place(1, iou), -32, 4)
    for clicks in range(1, CLICKS + 1):
        write(str(clicks), place(clicks, 0.4), -4, 20)
    line = [place(n, float(iou)) for n, iou in enumerate(means, 1)]
    color = bright_color(1)
    cv2.polylines(canvas, [np.array(line)], False, color, 2 * scale, cv2.LINE_AA)
    for at in line:
        cv2.circle(canvas, at, 4 * scale, color, -1, cv2.LINE_AA)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(canvas).resize((width, height), Image.Resampling.LANCZOS).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and images")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--afresh", action="store_true", help="do not give the last answer's logits with the clicks")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="write a picture of the curve")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/clicks.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    predictor = ImagePredictor(args.model)
    courses = []
    for row, number in drawn_objects(args.data, args.objects):
        picture = predictor.encode(args.data / row["path"])
        courses.append(
            clicked(predictor, picture, read_index_png(args.data / row["masks"]) == number, afresh=args.afresh)
        )
    ious = np.array(courses)
    means, worse = ious.mean(axis=0), (np.diff(ious, axis=1) < -WORSE).mean(axis=0)
    table = Table(title=f"{args.model}, {len(ious)} objects", title_justify="left")
    for name in ("clicks", "mean IoU", "IoU over 0.8", f"made worse by over {WORSE:g}"):
        table.add_column(name, justify="right")
    for n in range(CLICKS):
        share = (ious[:, n] > 0.8).mean()
        table.add_row(str(n + 1), f"{means[n]:.3f}", f"{share:.0%}", f"{worse[n - 1]:.0%}" if n else "")
    Console(width=80).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"model": args.model, "ious": ious.tolist()}))
    if args.plot:
        plot(means, args.plot)


if __name__ == "__main__":
    main()
