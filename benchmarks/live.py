"""What a deadline gives: latencies of a camera that does not wait, followed frame by frame, and by `DeadlineTracker`.

    python benchmarks/live.py [--rate 30] [--deadline 0.1] [--frames 240] [--threads 1]

The shipped clip, over and over, is offered at a rate, as ROS or WebRTC push frames. Time is that of the processor: a
clock that stands while nothing is computed, and jumps to the next capture when there is nothing to do, so that waiting
for other programs does not count. One object is followed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from itertools import count, cycle
from pathlib import Path

import cv2
import numpy as np
import torch

import masklet
from masklet.media.source import open_video

SAMPLE = Path(__file__).parent.parent / "src/masklet/samples/horse.mp4"
BOX = (88, 45, 322, 268)
"""The horse and its rider in frame 8."""


class WorkClock:
    """Seconds that this process computed, and those that were skipped."""

    def __init__(self) -> None:
        self.skipped = -time.process_time()

    def __call__(self) -> float:
        return time.process_time() + self.skipped

    def wait_until(self, moment: float) -> None:
        """Skip to a moment, if it is not past."""
        self.skipped += max(0.0, moment - self())


def play(engine: object, deadline: float, rate: float, frames: int) -> dict[str, float]:
    """Offer frames at a rate; how punctual it was."""
    with open_video(SAMPLE) as source:
        images = [frame.image for frame in source][8:]
    clock = WorkClock()
    tracker = masklet.DeadlineTracker(engine, deadline=deadline, clock=clock)  # type: ignore[arg-type]
    begin = clock()
    for number, image in zip(count(), cycle(images)):
        if number == frames:
            break
        captured = begin + number / rate
        clock.wait_until(captured)
        tracker.offer(image, captured)
        if number == 0:
            tracker.stream.add_box(object="horse", box=BOX)
    return vars(tracker.punctuality())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second of the camera")
    parser.add_argument("--deadline", type=float, default=0.1, help="seconds from a capture to its masks")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/live.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    engine = masklet.load_model(args.model, device="cpu")
    rows = {}
    for name, deadline in (("every frame", 1e9), (f"{args.deadline:g} s", args.deadline)):
        rows[name] = play(engine, deadline, args.rate, args.frames)
        told = rows[name]
        late = np.nan if deadline == 1e9 else told["late"]
        print(
            f"{name:>12}: {told['followed']} followed, {told['dropped']} dropped, {late:g} late; "
            f"median {1000 * told['median']:.0f} ms, p95 {1000 * told['p95']:.0f}, p99 {1000 * told['p99']:.0f}"
        )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
