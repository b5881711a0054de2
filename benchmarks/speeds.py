"""What the speed modes cost: a box on the first frame, then every frame of the labelled validation videos, in each.

    python benchmarks/speeds.py --data ../shared/data [--model nano] [--speeds exact balanced fast] [--videos 11]

IoU is measured against the true masks, and against the masks of the exact mode; both are means over all frames but the
first, then over videos. Frames a second are medians over the videos, and their ratio is to the exact mode.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from nano import iou
from rich.console import Console
from rich.table import Table

import masklet
from masklet.checkpoints import Model
from masklet.checkpoints.registry import SPEEDS
from masklet.formats.davis import read_index_png


@dataclass
class Followed:
    """One video in one mode: its masks, and frames a second."""

    masks: list[np.ndarray] = field(default_factory=list)
    speed: float = 0.0


@dataclass
class Cost:
    """One mode over all videos."""

    truth: list[float] = field(default_factory=list)
    exact: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)


def true_masks(data: Path, row: dict[str, str]) -> list[np.ndarray]:
    return [read_index_png(data / row["masks"] / f"{frame:05d}.png") == 1 for frame in range(int(row["frames"]))]


def follow(video: Path, model: Model, first: np.ndarray) -> Followed:
    """A video from a box on its first frame."""
    x, y, width, height = cv2.boundingRect(first.astype(np.uint8))
    with masklet.VideoTracker(video, model) as tracker:
        tracker.add_box(frame=0, object=1, box=(x, y, x + width, y + height))
        began = cv2.getTickCount()
        masks = [result.objects[1].mask for result in tracker.propagate()]
        return Followed(masks, len(masks) * cv2.getTickFrequency() / (cv2.getTickCount() - began))


def mean_iou(masks: list[np.ndarray], others: list[np.ndarray]) -> float:
    """Over all frames but the first."""
    return float(np.mean([iou(a, b) for a, b in zip(masks[1:], others[1:], strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and videos")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--speeds", nargs="+", default=list(SPEEDS), choices=SPEEDS, help="exact first")
    parser.add_argument("--videos", type=int, default=100, help="at most so many")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/speeds.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    models = {speed: masklet.load_model(args.model, speed=speed) for speed in args.speeds}
    rows = [r for r in csv.DictReader((args.data / "index.csv").open()) if r["kind"] == "video" and r["split"] == "val"]
    costs = {speed: Cost() for speed in models}
    for row in rows[: args.videos]:
        truth = true_masks(args.data, row)
        found = {speed: follow(args.data / row["path"], model, truth[0]) for speed, model in models.items()}
        for speed, cost in costs.items():
            cost.truth.append(mean_iou(found[speed].masks, truth))
            cost.exact.append(mean_iou(found[speed].masks, found[args.speeds[0]].masks))
            cost.speeds.append(found[speed].speed)

    table = Table(
        title=f"{args.model}, {len(rows[: args.videos])} videos, {args.threads} threads", title_justify="left"
    )
    for name in ("speed", "IoU", f"IoU with {args.speeds[0]}", "frames/s", "ratio"):
        table.add_column(name, justify="left" if name == "speed" else "right")
    table_rows = {}
    for speed, cost in costs.items():
        ratio = statistics.median(a / b for a, b in zip(cost.speeds, costs[args.speeds[0]].speeds, strict=True))
        means = (float(np.mean(cost.truth)), float(np.mean(cost.exact)), statistics.median(cost.speeds), ratio)
        table_rows[speed] = dict(zip(("iou", "iou_with_exact", "frames_per_second", "ratio"), means, strict=True))
        table.add_row(speed, f"{means[0]:.3f}", f"{means[1]:.3f}", f"{means[2]:.1f}", f"{means[3]:.2f}")
    Console(width=100).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"arguments": vars(args), "modes": table_rows}, indent=2, default=str))


if __name__ == "__main__":
    main()
