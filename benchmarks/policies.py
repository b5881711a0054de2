"""All memory policies, side by side: the same clips, the same box on the first frame, one run.

    python benchmarks/policies.py [--data ../shared/data] [--model nano] [--policies published my:Policy] [--quick]

Clips are made up (see made_up.py) or the labelled validation videos of --data, where it is given and there. IoU is the
mean over all frames but the first, where an object that is gone and not found counts 1; "right" is the share of frames
with an IoU over 0.5. Every frame is encoded once and followed under each policy in turn; frames a second count the
encoder for each, but not reading the video. --quick takes the first 40 frames of each.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, median
from typing import Any

import cv2
import numpy as np
import torch
from made_up import MadeUp, clips
from rich.console import Console
from rich.table import Table

import masklet
from masklet.checkpoints import Model
from masklet.formats.davis import read_index_png
from masklet.media.source import open_video
from masklet.video import StreamTracker, TrackingOptions
from masklet.video.reader import frame_tensor

POLICIES = [
    "published",
    *(f"examples.policies.{n.lower()}:{n}Policy" for n in ("Quality", "Distractor", "Motion", "Long")),
]
"""What is compared if nothing else is said; run from the root of the repository."""

QUICK = 40
"""Frames of each clip with --quick."""


Pairs = Iterator[tuple[np.ndarray, np.ndarray]]
"""Pictures, uint8 (H, W, 3), with true masks, bool (H, W)."""


@dataclass(frozen=True)
class Video:
    """A labelled video: its file, and the folder of its masks."""

    name: str
    path: Path
    masks: Path

    def pairs(self) -> Pairs:
        """Its pictures and masks."""
        for frame in open_video(self.path):
            yield frame.image, read_index_png(self.masks / f"{frame.index:05d}.png") == 1


@dataclass(frozen=True)
class Score:
    """One clip under one policy."""

    iou: float
    right: float
    rate: float


class EncodedOnce:
    """An engine that encodes a picture once, however many trackers ask for it; all else is the model's."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._last: tuple[torch.Tensor, Any] | None = None
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode_image(self, images: torch.Tensor) -> Any:
        """The levels of a picture; `seconds` is the time that it took the first time."""
        if self._last is None or not torch.equal(self._last[0], images):
            began = time.perf_counter()
            self._last = images, self._model.encode_image(images)
            self.seconds = time.perf_counter() - began
        return self._last[1]


def labelled(data: Path | None) -> list[Video]:
    """The validation videos of a data folder, none if it is not there."""
    if data is None or not (data / "index.csv").exists():
        return []
    rows = [r for r in csv.DictReader((data / "index.csv").open()) if r["kind"] == "video" and r["split"] == "val"]
    return [Video(Path(row["path"]).stem, data / row["path"], data / row["masks"]) for row in rows]


def all_clips(data: Path | None) -> dict[str, MadeUp | Video]:
    """All clips by name."""
    return {clip.name: clip for clip in (*clips(), *labelled(data))}


def follow(clip_name: str, args: argparse.Namespace) -> dict[str, Score]:
    """One clip from a box on its first frame, under all policies. The clip is sent by its name to another process."""
    torch.set_num_threads(1)
    clip, frames, policies = all_clips(args.data)[clip_name], QUICK if args.quick else None, args.policies
    engine = EncodedOnce(masklet.load_model(args.model))
    streams = {policy: StreamTracker(engine, options=TrackingOptions(policy=policy)) for policy in policies}
    ious: dict[str, list[float]] = {policy: [] for policy in streams}
    seconds = dict.fromkeys(streams, 0.0)
    for frame, (picture, truth) in enumerate(islice(clip.pairs(), frames)):
        for policy, stream in streams.items():
            engine.encode_image(frame_tensor(picture, engine))  # so that no policy pays for it alone
            began = time.perf_counter()
            result = stream.step(picture)
            if frame == 0:
                x, y, width, height = cv2.boundingRect(truth.astype(np.uint8))
                result = stream.add_box(object=1, box=(x, y, x + width, y + height))
            ious[policy].append(iou(result.objects[1].mask, truth))
            seconds[policy] += time.perf_counter() - began + engine.seconds
    return {policy: score(ious[policy], seconds[policy]) for policy in streams}


def score(ious: list[float], seconds: float) -> Score:
    """Of all frames but the first."""
    return Score(fmean(ious[1:]), float(np.mean(np.array(ious[1:]) > 0.5)), len(ious) / seconds)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """1 for two empty masks."""
    either = (a | b).sum()
    return float((a & b).sum() / either) if either else 1.0


def table_of(title: str, scores: dict[str, dict[str, Score]], kinds: dict[str, str]) -> Table:
    """A row for each clip, a column for each variant, and means below each kind. scores: by clip and variant."""
    table = Table(title=title, title_justify="left", caption="mean IoU, and the share of frames that are right")
    table.add_column("clip")
    names = list(next(iter(scores.values())))
    for variant in names:
        table.add_column(variant, justify="right")
    for kind in dict.fromkeys(kinds.values()):
        mine = [found for clip, found in scores.items() if kinds[clip] == kind]
        for clip, found in scores.items():
            if kinds[clip] == kind:
                table.add_row(clip, *(cell([found[variant]]) for variant in names))
        table.add_section()
        table.add_row(f"mean of {kind}", *(cell([found[variant] for found in mine]) for variant in names))
        table.add_section()
    rates = (median(found[variant].rate for found in scores.values()) for variant in names)
    table.add_row("frames a second, median", *(f"{rate:.1f}" for rate in rates))
    return table


def cell(scores: list[Score]) -> str:
    """Mean IoU and share of right frames."""
    return f"{fmean(s.iou for s in scores):.3f} {fmean(s.right for s in scores):4.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with index.csv and videos")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--policies", nargs="+", default=POLICIES)
    parser.add_argument("--clips", nargs="+", help="only these, by their names")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/policies.json"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="clips that are followed at a time")
    args = parser.parse_args()
    chosen = {name: clip for name, clip in all_clips(args.data).items() if args.clips is None or name in args.clips}
    longest_first = sorted(chosen, key=lambda name: -getattr(chosen[name], "frames", 0))
    found: dict[str, dict[str, Score]] = {}
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        for name, scored in zip(longest_first, pool.map(partial(follow, args=args), longest_first), strict=True):
            found[name] = scored
            print(name, *(f"{variant} {cell([one])}" for variant, one in scored.items()), sep="; ", file=sys.stderr)
    scores = {name: found[name] for name in chosen}
    title = f"{args.model}, a box on the first frame, one thread"
    kinds = {name: "videos" if isinstance(clip, Video) else "made up" for name, clip in chosen.items()}
    Console(width=150).print(table_of(title, scores, kinds))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    rows = {clip: {variant: vars(one) for variant, one in of.items()} for clip, of in scores.items()}
    args.output.write_text(json.dumps({"arguments": vars(args), "scores": rows}, indent=2, default=str))


if __name__ == "__main__":
    main()
