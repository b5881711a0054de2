"""What a long session answers without its video: where a person should look, the masks of a frame, undo.

    python benchmarks/queries.py [--frames 10000] [--objects 20] [--rounds 9]

A session of so many tracked frames of so many objects is made up, a hundredth of them in doubt. Medians and the longest
of the rounds, in milliseconds of a processor.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import masklet
from masklet.engines.fake import FakeEngine
from masklet.video.review import ReviewReason
from masklet.video.store import PAGE_FRAMES, StoredFrame, StoredFrames


def session(frames: int, objects: int) -> masklet.VideoTracker:
    """A tracker whose objects are known on all frames. One frame was tracked, and all are like it."""
    tracker = masklet.VideoTracker([np.full((48, 64, 3), 90, np.uint8)] * frames, FakeEngine())
    for name in range(1, objects + 1):
        tracker.add_box(frame=0, object=name, box=(4, 6, 18, 20))
    list(tracker.propagate(stop=2))
    for name, track in tracker.tracks.items():
        record = track.tracked._pages[0][1]  # type: ignore[attr-defined]
        pages: dict[int, dict[int, StoredFrame]] = {}
        for frame in range(1, frames):
            doubt = str(ReviewReason.LOW_IOU) if (frame + 7 * int(name)) % 100 == 0 else ""
            stats = replace(record.stats, frame=frame, doubt=doubt)
            pages.setdefault(frame // PAGE_FRAMES, {})[frame] = replace(record, stats=stats)
        tracked = StoredFrames(tracker._store, pages)
        tracker.tracks = {**tracker.tracks, name: replace(track, tracked=tracked)}
    return tracker


def note(rows: dict[str, list[float]], name: str, call: Callable[[], Any]) -> None:
    """How long a call takes, in milliseconds of a processor."""
    began = time.process_time()
    call()
    rows.setdefault(name, []).append(1000 * (time.process_time() - began))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/queries.json"))
    args = parser.parse_args()
    rows: dict[str, list[float]] = {}
    with session(args.frames, args.objects) as tracker:
        middle = args.frames // 2
        questions: dict[str, Callable[[], Any]] = {
            "needs_prompt": tracker.needs_prompt,
            "known_frames": tracker.known_frames,
            "masks of a frame": lambda: tracker.masks(middle).masks,
        }
        changes: dict[str, Callable[[], Any]] = {
            "mark_absent, all frames": lambda: tracker.mark_absent(1, 1, args.frames - 1),
            "accept, all frames": lambda: tracker.accept(1, 1, args.frames - 1),
            "swap from the middle on": lambda: tracker.swap(middle, 1, 2),
            "split in the middle": lambda: tracker.split(middle, 1, "new"),
        }
        for _ in range(args.rounds):
            for name, call in questions.items():
                note(rows, name, call)
            for name, call in changes.items():
                note(rows, name, call)
                note(rows, "undo", tracker.undo)
    table = Table(title=f"{args.frames} frames, {args.objects} objects, milliseconds", title_justify="left")
    for column in ("what", "median", "longest"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, found in rows.items():
        table.add_row(name, f"{statistics.median(found):.1f}", f"{max(found):.1f}")
    Console(width=100).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"arguments": vars(args), "milliseconds": rows}, indent=2, default=str))


if __name__ == "__main__":
    main()
