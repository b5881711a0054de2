"""Resident memory along a long video: what a tracker and a stream keep must not grow with the frames.

    python benchmarks/memory.py [--frames 1000] [--model nano] [--size 1080 1920] [--objects 2]

The video is generated, an MP4 with moving squares, and read from its file. Each tracker runs in a process of its own.
Decoding alone is timed as well, beside the frames a second that each tracker reaches. `--model little` is a network of
random weights at 64 pixels, for lengths that would take a real model hours: what is kept of a frame is of the same
kind, only smaller, and all that depends on the number of frames or on the size of the video is the same.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import av
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import masklet
from masklet.checkpoints import Model
from masklet.media.source import open_video
from masklet.nn import ConvNetConfig

MARKS = (10, 100, 300, 1_000, 3_000, 10_000)
"""Frames after which memory is read."""

RATE = 25

LITTLE = {
    "encoder": ConvNetConfig((8, 16, 32, 64), (1, 1, 1, 1)),
    "image_size": 64,
    "width": 32,
    "memory_width": 8,
}
"""Changes of `nano` that make a network for thousands of frames in minutes."""

DECODED = 300
"""Frames over which decoding alone is timed."""


@dataclass
class Run:
    """What one tracker needed: MiB after so many frames, and frames a second."""

    resident: dict[int, float] = field(default_factory=dict)
    speed: float = 0.0


def write_video(path: Path, frames: int, size: tuple[int, int]) -> None:
    """A grey video with two bright squares that move."""
    height, width = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": "50"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in range(frames):
            planes = np.full((height * 3 // 2, width), 128, np.uint8)
            planes[:height] = 60
            for square, speed in ((0, 7), (1, 5)):
                y, x = (100 + square * height // 2) % (height - 200), (frame * speed + square * 300) % (width - 200)
                planes[y : y + 200, x : x + 200] = 200 - 60 * square
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))


def model_of(name: str) -> Model:
    return masklet.build_model("nano", seed=0, **LITTLE) if name == "little" else masklet.load_model(name)


def resident() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def boxes(size: tuple[int, int], objects: int) -> dict[int, tuple[int, int, int, int]]:
    """A box for each object on frame 0."""
    height, width = size
    corners = {n + 1: (300 * n % (width - 200), (100 + n % 2 * height // 2) % (height - 200)) for n in range(objects)}
    return {name: (x, y, x + 200, y + 200) for name, (x, y) in corners.items()}


def video(path: Path, model: str, objects: int) -> Iterator[None]:
    """A `VideoTracker` over the file."""
    with masklet.VideoTracker(path, model_of(model)) as tracker:
        for name, box in boxes(tracker.size, objects).items():
            tracker.add_box(frame=0, object=name, box=box)
        for _ in tracker.propagate():
            yield


def stream(path: Path, model: str, objects: int) -> Iterator[None]:
    """A `StreamTracker` over the same frames."""
    tracker = masklet.StreamTracker(model_of(model))
    with open_video(path) as source:
        for frame in source:
            tracker.step(frame.image)
            if frame.index == 0:
                for name, box in boxes(source.size, objects).items():
                    tracker.add_box(object=name, box=box)
            yield


KINDS: dict[str, Callable[[Path, str, int], Iterator[None]]] = {"VideoTracker": video, "StreamTracker": stream}


def watch(kind: str, path: Path, arguments: argparse.Namespace, queue: multiprocessing.Queue[Run]) -> None:
    """Follow the whole video and say what it took."""
    torch.set_num_threads(arguments.threads)
    run, began = Run(), time.perf_counter()
    for frame, _ in enumerate(KINDS[kind](path, arguments.model, arguments.objects), start=1):
        if frame in MARKS or frame == arguments.frames:
            run.resident[frame] = resident()
            run.speed = frame / (time.perf_counter() - began)
            print(f"{kind}, frame {frame:,}: {run.resident[frame]:.0f} MiB, {run.speed:.1f} frames/s", flush=True)
    queue.put(run)


def decoding_speed(path: Path) -> float:
    """Frames a second of reading alone."""
    began = time.perf_counter()
    with open_video(path) as source:
        count = sum(1 for _ in source.frames(0, DECODED))
    return count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000)
    parser.add_argument("--model", default="nano", help="name or file of a model, or little")
    parser.add_argument("--size", type=int, nargs=2, default=(1080, 1920))
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--trackers", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/memory.json"))
    args = parser.parse_args()
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "squares.mp4"
        write_video(path, args.frames, tuple(args.size))
        decoding = decoding_speed(path)
        for kind in args.trackers:
            queue: multiprocessing.Queue[Run] = multiprocessing.Queue()
            process = multiprocessing.Process(target=watch, args=(kind, path, args, queue))
            process.start()
            runs[kind] = queue.get()
            process.join()

    height, width = args.size
    title = f"{args.model}, {args.objects} objects, {width} x {height}: resident memory in MiB after so many frames"
    table = Table(title=title, title_justify="left", caption=f"decoding alone: {decoding:.0f} frames/s")
    table.add_column("tracker")
    marks = list(next(iter(runs.values())).resident)
    for mark in marks:
        table.add_column(f"{mark:,}", justify="right")
    for name in ("growth after 100", "frames/s"):
        table.add_column(name, justify="right")
    for kind, run in runs.items():
        growth = run.resident[marks[-1]] - run.resident.get(100, float("nan"))
        table.add_row(kind, *(f"{run.resident[mark]:.0f}" for mark in marks), f"{growth:+.0f}", f"{run.speed:.1f}")
    Console(width=110).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    found = {"arguments": vars(args), "decoding": decoding, "runs": {kind: asdict(run) for kind, run in runs.items()}}
    args.output.write_text(json.dumps(found, indent=2, default=str))


if __name__ == "__main__":
    main()
