"""How long a large session takes to open, to show a frame, to take a click and to be saved again.

    python benchmarks/opening.py [--frames 10000] [--objects 20] [--size 270 480] [--keep FILE]

The session is made up: ellipses that wander, with logits of 64 x 64 cells, scores, pointers and the colours of each
frame, as a pass of `nano` leaves them. No network runs; the engine is the fake one. With `--keep` the session's file is
made once and used again, by an older masklet too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import masklet
from masklet.app.summary import SessionSummary
from masklet.engines.fake import FAKE, FakeEngine
from masklet.formats.base import RleMask
from masklet.formats.project_file import ProjectFrame
from masklet.machine import peak_memory
from masklet.masks.rle import encode_rle, resize_logits
from masklet.media.frames import Frame, FrameSource
from masklet.video.events import Followed
from masklet.video.state import KnownFrame
from masklet.video.step import areas_and_boxes
from masklet.video.store import StoredFrames

ENGINE = FakeEngine(config=replace(FAKE, image_size=256))

PATHS = 50
"""Masks of an object before they repeat."""


class GreyFrames(FrameSource):
    """Frames of one grey."""

    frame_count_exact = True
    rate = 25.0

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self.frame_count, self.size = count, size

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for frame in range(start, min(self.frame_count or 0, stop or 1 << 40)):
            yield Frame(frame, frame / 25, np.full((*self.size, 3), 90, np.uint8))


def make(path: Path, frames: int, objects: int, size: tuple[int, int]) -> None:
    """A session in which objects were prompted on the first frame and followed to the end."""
    generator = np.random.default_rng(0)
    with masklet.VideoTracker(GreyFrames(frames, size), ENGINE) as tracker:
        cell = np.arange(64)
        found: list[dict[Any, RleMask]] = [{} for _ in range(frames)]
        for name in range(1, objects + 1):
            tracker.add_box(frame=0, object=name, box=(10, 10, 60, 50))
            answer = tracker.tracks[name].prompted[0]
            tracked, masks = StoredFrames(tracker._store), []
            centre, radii = generator.uniform(16, 48, 2), generator.uniform(3, 12, 2)
            for turn in range(PATHS):
                x, y = centre + 8 * np.array([np.cos(turn / 8), np.sin(turn / 8)])
                inside = 1 - np.hypot((cell - x) / radii[0], (cell[:, None] - y) / radii[1])
                logits = (6 * inside + generator.normal(0, 0.2, (64, 64))).astype(np.float32)
                rle = encode_rle(np.asarray(resize_logits(logits, size) > 0))
                ((area, box),) = areas_and_boxes(logits[None])
                masks.append((logits, rle, area, box))
            for frame in range(1, frames):
                logits, rle, area, box = masks[frame % PATHS]
                iou, presence = generator.uniform(0.5, 1), generator.uniform(2, 9)
                known = KnownFrame(
                    frame, None, answer.pointer, logits, iou=iou, presence=presence, attended=True, area=area, box=box,
                    colours=(frame % 251).to_bytes(1, "big") * 96, doubt="low IoU" if iou < 0.52 else "",
                )  # fmt: skip
                tracked = tracked.adding(known)
                found[frame][name] = RleMask(rle, iou, 1 / (1 + np.exp(-presence)))
            tracker.tracks = {**tracker.tracks, name: replace(tracker.tracks[name], tracked=tracked)}
        tracker._record(Followed(1, frames - 1, backward=False, only=None), tracker.tracks)
        tracker.times = {frame: frame / 25 for frame in range(frames)}
        shown = {frame: ProjectFrame(frame / 25, masks) for frame, masks in enumerate(found) if frame}
        tracker._shown.remember(tracker.tracks, shown)
        tracker.save(path)


def told_page(tracker: masklet.VideoTracker, frames: int) -> bytes:
    """Objects with their strips, and doubts, as the annotator's server tells them to a page that opens a session."""
    summary = SessionSummary()
    return json.dumps([summary.objects(tracker, frames), summary.queue(tracker)]).encode()


def measure(path: Path, frames: int, size: tuple[int, int]) -> dict[str, float]:
    """Seconds of one thread of the processor for what a person does with a session, in turn."""
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        began = time.process_time()
        found = step()
        seconds[name] = time.process_time() - began
        return found

    tracker = timed("open", lambda: masklet.VideoTracker.open(path, GreyFrames(frames, size), ENGINE))
    with tracker:
        timed("what the annotator's page shows of it", lambda: told_page(tracker, frames))
        timed("known frames", tracker.known_frames)
        timed("show a frame in the middle", lambda: tracker.result(frames // 2).index_map())
        timed("show the next one", lambda: tracker.result(frames // 2 + 1).index_map())
        timed("click there", lambda: tracker.add_points(frame=frames // 2 + 1, object=1, points=[(40, 40)]))
        timed("save changes", tracker.save_changes)
        timed("undo", tracker.undo)
        timed("all doubts", tracker.needs_prompt)
        timed("save all", lambda: tracker.save(path.with_name("again.masklet")))
    path.with_name("again.masklet").unlink()
    path.with_name(f"{path.name}.journal").unlink(missing_ok=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--size", type=int, nargs=2, default=(270, 480), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--keep", type=Path, metavar="FILE", help="make the session here, or use it if it is there")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/opening.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    size = (args.size[0], args.size[1])
    with tempfile.TemporaryDirectory() as folder:
        path = args.keep or Path(folder) / "a.masklet"
        if not path.exists():
            make(path, args.frames, args.objects, size)
        seconds = measure(path, args.frames, size)
        megabytes = path.stat().st_size / 2**20
    title = (
        f"{args.frames} frames, {args.objects} objects, {megabytes:.0f} MiB, memory up to {peak_memory() or 0:.0f} MiB"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("seconds of the processor", justify="right")
    for name, spent in seconds.items():
        table.add_row(name, f"{spent:.2f}")
    Console(width=100).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"arguments": vars(args), "seconds": seconds}, indent=2, default=str))


if __name__ == "__main__":
    main()
