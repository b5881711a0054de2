"""Time outside the network: what masklet takes for a frame beside the four functions of the engine.

    python benchmarks/overhead.py [--objects 1 10 100] [--frames 24] [--model nano]

Boxes on the first frame of a made-up film of 854 x 480 pixels, then a pass. A row tells where the time of a frame goes,
as a median over the frames from the fourth on, of the processor's time with one thread: in the four functions; in
optical flow, along which `nano` carries its masks; in bringing the picture to the network's size, by Pillow's filter as
published; in the rest of `propagate`; in the masks of all objects; in the index map; and in the picture that is drawn
of them. A save of the whole session is a row of its own, for each frame.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import masklet
from masklet.video import reader

FUNCTIONS = ("encode_image", "attend_memory", "decode_masks", "encode_memory")
NETWORK = "four functions"
PARTS = {"grey_square": "optical flow", "optical_flow": "optical flow", "frame_tensor": "picture to the network's size"}
"""What the functions of `masklet.video.reader` are a part of."""

WARM = 3
"""Frames that are not counted."""


def moving_frames(count: int) -> list[np.ndarray]:
    """A hundred squares that move over a shaded ground: uint8 (480, 854, 3)."""
    ground = np.linspace(40, 120, 854 * 480 * 3).reshape(480, 854, 3)
    frames = []
    for frame in range(count):
        picture = ground.copy()
        for number in range(100):
            x, y = 15 + 80 * (number % 10) + frame, 8 + 46 * (number // 10)
            picture[y : y + 30, x : x + 45] = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
        frames.append(picture.astype(np.uint8))
    return frames


class Clock:
    """Seconds that functions took, by what they are a part of."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.seconds = dict.fromkeys((NETWORK, *PARTS.values()), 0.0)

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            began = time.process_time()
            try:
                return function(*arguments)
            finally:
                self.seconds[part] += time.process_time() - began

        return call


class Timed:
    """An engine whose four functions are timed; all else is the model's."""

    def __init__(self, model: Any, clock: Clock) -> None:
        self._model, self._clock = model, clock

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        return self._clock.timed(NETWORK, found) if name in FUNCTIONS else found


def measure(model: Any, objects: int, count: int, clock: Clock) -> dict[str, float]:
    """Milliseconds of a frame, by where they go."""
    rows = dict[str, list[float]]()
    with masklet.VideoTracker(moving_frames(count), Timed(model, clock)) as tracker:
        for number in range(objects):
            x, y = 10 + 80 * (number % 10), 5 + 46 * (number // 10 % 10)
            tracker.add_box(frame=0, object=number + 1, box=(x, y, x + 60, y + 40))
        results = iter(tracker.propagate(start=1))
        while True:
            clock.restart()
            began = time.process_time()
            result = next(results, None)
            spent = time.process_time() - began
            if result is None:
                break
            for part, seconds in clock.seconds.items():
                note(rows, part, seconds)
            note(rows, "rest of propagate", spent - sum(clock.seconds.values()))
            steps: dict[str, Callable[[], Any]] = {
                "masks": lambda found=result: [item.mask for item in found.objects.values()],
                "index map": result.index_map,
                "overlay": result.overlay,
            }
            for name, step in steps.items():
                began = time.process_time()
                step()
                note(rows, name, time.process_time() - began)
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            tracker.save(Path(folder) / "a.masklet")
            rows["save"] = [(time.process_time() - began) / count] * (WARM + 1)
    return {name: 1000 * statistics.median(seconds[WARM:]) for name, seconds in rows.items()}


def note(rows: dict[str, list[float]], name: str, seconds: float) -> None:
    """One more frame."""
    rows.setdefault(name, []).append(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/overhead.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    model, clock = masklet.load_model(args.model), Clock()
    for function, part in PARTS.items():
        setattr(reader, function, clock.timed(part, getattr(reader, function)))
    found = {objects: measure(model, objects, args.frames, clock) for objects in args.objects}
    table = Table(title=f"{args.model}, 854 x 480, milliseconds a frame", title_justify="left")
    table.add_column("where")
    for objects in found:
        table.add_column(f"{objects} objects", justify="right")
    for name in next(iter(found.values())):
        table.add_row(name, *(f"{of[name]:.1f}" for of in found.values()))
    Console(width=100).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"arguments": vars(args), "milliseconds": found}, indent=2, default=str))


if __name__ == "__main__":
    main()
