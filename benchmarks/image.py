"""Pictures, ours and transformers', same weights, same picture, same threads, in one run.

    python benchmarks/image.py [--model sam2.1-tiny] [--image-size 512] [--threads 2] [--repeats 5] [--clock wall]

Random weights. Encoding begins with the normalised square and ends with the features of three levels; a click and boxes
begin with these features and end with masks of the picture's size; everything begins with the picture and ends with run
lengths. Thresholds of everything are such that random weights keep about a third of the masks. Sides take turns, a
figure is a median, and masks of both are compared. `--clock process` counts this process's seconds on a processor: for
machines that do other work besides, with `--threads 1`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peers import TheirImages, transformers_image_model
from rich.console import Console
from rich.table import Table

import masklet
from masklet.checkpoints import Model
from masklet.image import EncodedImage, EverythingOptions, ImagePredictor, Masks, segment_everything
from masklet.image.picture import picture_tensor

CLOCKS = {"wall": time.perf_counter, "process": time.process_time}


def soft_shapes(height: int, width: int) -> NDArray[np.uint8]:
    """A picture of soft shapes: uint8 (height, width, 3)."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    picture = np.zeros((height, width, 3), np.float32)
    random = np.random.RandomState(0)
    for _ in range(12):
        y, x, radius = random.uniform(0, height), random.uniform(0, width), random.uniform(0.05, 0.2) * height
        spot = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))
        picture += spot[..., None] * random.uniform(40, 255, 3).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def some_boxes(count: int, height: int, width: int) -> NDArray[np.float64]:
    """(count, 4), inside the picture."""
    random = np.random.RandomState(1)
    corners = random.uniform(0, 0.6, (count, 2))
    sides = random.uniform(0.1, 0.4, (count, 2))
    return np.concatenate((corners, corners + sides), axis=1) * (width, height, width, height)


def tasks(
    model: Model, picture: NDArray[np.uint8], options: EverythingOptions
) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Task -> ours and theirs; those that answer with masks give bool (M, H, W)."""
    height, width = picture.shape[:2]
    predictor = ImagePredictor(model)
    theirs = TheirImages(transformers_image_model(model), (height, width))
    square = picture_tensor(picture, model)
    encoded: EncodedImage = predictor.encode(picture)
    levels = theirs.encode(square)
    click = (0.4 * width, 0.5 * height)
    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "encode": (torch.inference_mode()(lambda: model.encode_image(square)), lambda: theirs.encode(square)),
        "one click": (
            lambda: predictor.predict(encoded, points=[click]).masks,
            lambda: theirs.click(levels, click),
        ),
    }
    for count in (8, 64):
        boxes = some_boxes(count, height, width)
        pairs[f"{count} boxes"] = (
            lambda boxes=boxes: predictor.predict(encoded, boxes=boxes).masks,  # type: ignore[misc]
            lambda boxes=boxes: theirs.boxes(levels, boxes),  # type: ignore[misc]
        )
    pairs["everything"] = (
        lambda: segment_everything(picture, model, options),
        lambda: theirs.everything(picture_tensor(picture, model), options),
    )
    return pairs


def measure(name: str, sides: tuple[Callable[[], Any], Callable[[], Any]], repeats: int, clock: str) -> dict[str, Any]:
    """Medians of both sides for one task, and how far their masks agree."""
    now = CLOCKS[clock]
    seconds: tuple[list[float], list[float]] = ([], [])
    answers: list[Any] = [None, None]
    for _ in range(repeats if name != "everything" else max(1, repeats // 3)):
        for side, work in enumerate(sides):
            begin = now()
            answers[side] = work()
            seconds[side].append(now() - begin)
    ours, theirs = (statistics.median(times) for times in seconds)
    return {"task": name, "ours": ours, "transformers": theirs, "ratio": theirs / ours, "agree": agreement(*answers)}


def agreement(ours: Any, theirs: Any) -> float | None:
    """Intersection over union of all masks of both sides together; of everything, the share of masks both found."""
    if isinstance(ours, np.ndarray):
        return float((ours & theirs).sum() / max(1, (ours | theirs).sum()))
    if isinstance(ours, Masks):
        found = {rle.counts for rle in theirs}
        same = sum(ours.rle(i).counts in found for i in range(len(ours)))
        return same / max(1, len(ours), len(theirs))
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sam2.1-tiny")
    parser.add_argument("--image-size", type=int, default=512)
    parser.add_argument("--picture", type=int, nargs=2, default=[480, 640], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--points-per-side", type=int, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/image.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = masklet.build_model(args.model, seed=0, image_size=args.image_size)
    picture = soft_shapes(*args.picture)
    options = willing(model, picture, args.points_per_side)
    rows = [measure(name, sides, args.repeats, args.clock) for name, sides in tasks(model, picture, options).items()]

    title = f"{args.model} at {args.image_size} px, float32, {args.threads} threads: {args.clock} seconds, median"
    table = Table(title=title, title_justify="left")
    for name in ("task", "masklet", "transformers", "ratio", "agreement"):
        table.add_column(name, justify="right")
    for row in rows:
        agree = "" if row["agree"] is None else f"{row['agree']:.5f}"
        table.add_row(row["task"], f"{row['ours']:.3f}", f"{row['transformers']:.3f}", f"{row['ratio']:.2f}", agree)
    Console().print(table)
    machine = {"processor": platform.processor(), "cores": os.cpu_count(), "torch": torch.__version__}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(
        json.dumps({"machine": machine, "arguments": vars(args), "rows": rows}, indent=2, default=str)
    )


def willing(model: Model, picture: NDArray[np.uint8], points_per_side: int) -> EverythingOptions:
    """Options with which random weights keep about a third of their masks, found by looking at a few."""
    few = EverythingOptions(points_per_side=4, least_iou=0, least_stability=0, stability_offset=0.01, most_overlap=1)
    found = segment_everything(picture, model, few)
    return EverythingOptions(
        points_per_side=points_per_side,
        least_iou=float(np.quantile(found.iou, 0.5)),
        least_stability=float(np.quantile(found.stability, 0.3)),
        stability_offset=0.01,
        most_overlap=0.9,
    )


if __name__ == "__main__":
    main()
