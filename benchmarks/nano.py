"""How well a model follows: a box on the first frame, then every frame of the labelled validation videos.

    python benchmarks/nano.py --data ../shared/data [--model nano] [--sheet docs/images/nano.jpg]

The box is that of the true mask. IoU is the mean over all frames but the first; "right" is the share of frames with an
IoU over 0.5. The first mask kept still stands beside it. The sheet shows six frames of each video, to look at.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

import masklet
from masklet.checkpoints import Model
from masklet.formats.davis import read_index_png

SHOWN = 6
"""Frames of each video on the sheet."""


@dataclass
class Score:
    """One video."""

    name: str
    frames: int
    ious: list[float] = field(default_factory=list)
    still: list[float] = field(default_factory=list)
    seconds: float = 0.0
    pictures: list[np.ndarray] = field(default_factory=list)

    @property
    def iou(self) -> float:
        return float(np.mean(self.ious[1:]))

    @property
    def right(self) -> float:
        return float(np.mean(np.array(self.ious[1:]) > 0.5))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """1 for two empty masks."""
    either = (a | b).sum()
    return float((a & b).sum() / either) if either else 1.0


def follow(data: Path, row: dict[str, str], model: Model) -> Score:
    """One video from a box on its first frame."""
    score = Score(Path(row["path"]).stem, int(row["frames"]))

    def truth(frame: int) -> np.ndarray:
        return read_index_png(data / row["masks"] / f"{frame:05d}.png") == 1

    shown = np.linspace(0, score.frames - 1, SHOWN).astype(int)
    with masklet.VideoTracker(data / row["path"], model) as tracker:
        x, y, width, height = cv2.boundingRect(truth(0).astype(np.uint8))
        first = tracker.add_box(frame=0, object=1, box=(x, y, x + width, y + height)).objects[1].mask
        began = time.perf_counter()
        for result in tracker.propagate():
            mask = result.objects[1].mask
            score.seconds += time.perf_counter() - began
            score.ious.append(iou(mask, truth(result.frame)))
            score.still.append(iou(first, truth(result.frame)))
            if result.frame in shown:
                score.pictures.append(
                    cv2.resize(np.asarray(result.overlay()), (256, 144), interpolation=cv2.INTER_AREA)
                )
            began = time.perf_counter()
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and videos")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--sheet", type=Path, help="write a picture of six frames of each video")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/nano.json"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = masklet.load_model(args.model)
    rows = [r for r in csv.DictReader((args.data / "index.csv").open()) if r["kind"] == "video" and r["split"] == "val"]
    scores = [follow(args.data, row, model) for row in rows]

    table = Table(title=f"{args.model}, a box on the first frame, {args.threads} threads", title_justify="left")
    for name in ("video", "frames", "IoU", "right", "first mask kept still", "frames/s"):
        table.add_column(name, justify="left" if name == "video" else "right")
    for s in scores:
        still, speed = float(np.mean(s.still[1:])), s.frames / s.seconds
        table.add_row(s.name, str(s.frames), f"{s.iou:.3f}", f"{s.right:.0%}", f"{still:.3f}", f"{speed:.1f}")
    mean, right = float(np.mean([s.iou for s in scores])), float(np.mean([s.right for s in scores]))
    still = float(np.mean([np.mean(s.still[1:]) for s in scores]))
    speed = float(np.median([s.frames / s.seconds for s in scores]))
    table.add_section()
    table.add_row("mean (frames/s: median)", "", f"{mean:.3f}", f"{right:.0%}", f"{still:.3f}", f"{speed:.1f}")
    Console(width=100).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(
        json.dumps({s.name: {"iou": s.iou, "right": s.right} for s in scores} | {"mean": mean}, indent=2)
    )
    if args.sheet:
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.vstack([np.hstack(s.pictures) for s in scores])).save(args.sheet, quality=80)


if __name__ == "__main__":
    main()
