"""Encoding the next frame beside the objects of this one, against one after the other.

    python benchmarks/ahead.py [--model nano] [--objects 1 2 3 5] [--frames 20] [--threads 2]

A video of moving shapes, a box for each object, then every frame by `VideoTracker`, in both ways by turns, so that
whatever else the machine does meets both; all models but nano have random weights. Milliseconds a frame are medians
over the rounds. Masks must be the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from video import moving_frames

import masklet
from masklet.checkpoints import Model
from masklet.video import tracker


def follow(frames: np.ndarray, model: Model, objects: int, at_most: int) -> tuple[float, np.ndarray]:
    """Milliseconds a frame, encoding ahead beside `at_most` objects, and the masks of the last frame."""
    tracker.ENCODE_AHEAD = at_most
    with masklet.VideoTracker(frames, model) as video:
        for name in range(objects):
            video.add_box(frame=0, object=name, box=(60 + 70 * name, 100, 260 + 70 * name, 300))
        began = time.perf_counter()
        for result in video.propagate():
            masks = np.stack([found.mask for found in result.objects.values()])
        return 1000 * (time.perf_counter() - began) / len(frames), masks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano", help="a name, with a side if need be: nano:128")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 2, 3, 5])
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    name, _, side = args.model.partition(":")
    size = {"image_size": int(side)} if side else {}
    model = masklet.load_model(name, **size) if name == "nano" else masklet.build_model(name, seed=0, **size)
    frames = np.stack(moving_frames(args.frames))
    table = Table(title=f"{args.model}, {args.threads} threads: milliseconds a frame", title_justify="left")
    for column in ("objects", "one after the other", "encoding ahead", "ratio"):
        table.add_column(column, justify="right")
    for objects in args.objects:
        follow(frames, model, objects, 0)
        times: dict[int, list[float]] = {0: [], objects: []}
        for _ in range(args.rounds):
            found = []
            for at_most, taken in times.items():
                spent, masks = follow(frames, model, objects, at_most)
                taken.append(spent)
                found.append(masks)
            assert np.array_equal(*found), "masks differ"
        plain, ahead = (statistics.median(taken) for taken in times.values())
        table.add_row(str(objects), f"{plain:.1f}", f"{ahead:.1f}", f"{plain / ahead:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
