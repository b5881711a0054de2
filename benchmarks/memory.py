"""Resident memory along a long video: what a tracker and a stream keep must not grow with the frames.

    python benchmarks/memory.py [--frames 1000] [--model nano] [--size 1080 1920] [--objects 2]

Frames are generated as they are asked for, so that no video lies in memory. Each tracker runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import masklet

MARKS = (10, 100, 300, 1_000, 3_000, 10_000)
"""Frames after which memory is read."""


def picture(frame: int, size: tuple[int, int]) -> np.ndarray:
    """A grey picture with two bright squares that move: uint8 (H, W, 3)."""
    height, width = size
    image = np.full((height, width, 3), 60, np.uint8)
    for square, speed in ((0, 7), (1, 5)):
        y, x = (100 + square * height // 2) % (height - 200), (frame * speed + square * 300) % (width - 200)
        image[y : y + 200, x : x + 200] = (200, 120 + 60 * square, 60)
    return image


def resident() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def boxes(size: tuple[int, int], objects: int) -> dict[int, tuple[int, int, int, int]]:
    """A box for each object on frame 0."""
    height, width = size
    corners = {n + 1: (300 * n % (width - 200), (100 + n % 2 * height // 2) % (height - 200)) for n in range(objects)}
    return {name: (x, y, x + 200, y + 200) for name, (x, y) in corners.items()}


def video(model: str, frames: int, size: tuple[int, int], objects: int) -> Iterator[None]:
    """A `VideoTracker` over frames that are made as they are asked for."""
    tracker = masklet.VideoTracker((picture(frame, size) for frame in range(frames)), model)
    with tracker:
        for name, box in boxes(size, objects).items():
            tracker.add_box(frame=0, object=name, box=box)
        for _ in tracker.propagate():
            yield


def stream(model: str, frames: int, size: tuple[int, int], objects: int) -> Iterator[None]:
    """A `StreamTracker` over the same frames."""
    tracker = masklet.StreamTracker(model)
    for frame in range(frames):
        tracker.step(picture(frame, size))
        if frame == 0:
            for name, box in boxes(size, objects).items():
                tracker.add_box(object=name, box=box)
        yield


def watch(kind: str, arguments: argparse.Namespace, queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    run = {"VideoTracker": video, "StreamTracker": stream}[kind]
    found: dict[int, float] = {}
    for frame, _ in enumerate(
        run(arguments.model, arguments.frames, tuple(arguments.size), arguments.objects), start=1
    ):
        if frame in MARKS or frame == arguments.frames:
            found[frame] = resident()
    queue.put(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--size", type=int, nargs=2, default=(1080, 1920))
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/memory.json"))
    args = parser.parse_args()
    rows: dict[str, dict[int, float]] = {}
    for kind in ("VideoTracker", "StreamTracker"):
        queue: multiprocessing.Queue[dict[int, float]] = multiprocessing.Queue()
        process = multiprocessing.Process(target=watch, args=(kind, args, queue))
        process.start()
        rows[kind] = queue.get()
        process.join()

    height, width = args.size
    title = f"{args.model}, {args.objects} objects, {width} x {height}: resident memory in MiB after so many frames"
    table = Table(title=title, title_justify="left")
    table.add_column("tracker")
    marks = list(rows["VideoTracker"])
    for mark in marks:
        table.add_column(f"{mark:,}", justify="right")
    table.add_column("growth after 100", justify="right")
    for kind, found in rows.items():
        growth = found[marks[-1]] - found[100] if 100 in found else float("nan")
        table.add_row(kind, *(f"{found[mark]:.0f}" for mark in marks), f"{growth:+.0f}")
    Console(width=110).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
