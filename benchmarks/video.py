"""A tracked frame, ours and transformers', same weights, same frames, same threads, in one run.

    python benchmarks/video.py [--model sam2.1-tiny] [--image-size 512] [--objects 1 3 10] [--frames 10] [--threads 2]

Random weights, one click for each object on frame 0, then the frames are followed; both are given the resized,
normalised frames, so that reading and writing of video is no part of it. A figure is the median over the frames from
the fourth on, ours and theirs taking turns frame by frame. Masks of both sides are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import begin_session, transformers_video_model
from rich.console import Console
from rich.table import Table

import masklet
from masklet.checkpoints import Model
from masklet.prompts import make_prompt
from masklet.video.frames import frame_tensor
from masklet.video.options import TrackingOptions
from masklet.video.session import answered, asking, followed
from masklet.video.state import ObjectTrack
from masklet.video.step import step
from masklet.video.store import RecentEntries

SIZE = (480, 854)
WARM = 3
"""Frames that are not counted."""


def moving_frames(count: int) -> list[np.ndarray]:
    """Pictures of soft shapes that move: uint8 (480, 854, 3)."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    frames = []
    for frame in range(count):
        picture = np.zeros((*SIZE, 3))
        for shape in range(12):
            y, x = (shape * 83 + 3 * frame) % SIZE[0], (shape * 131 + 5 * frame) % SIZE[1]
            spot = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (30 + 5 * shape) ** 2))
            picture += spot[..., None] * np.random.RandomState(shape).uniform(40, 255, 3)
        frames.append(np.clip(picture, 0, 255).astype(np.uint8))
    return frames


class Ours:
    """masklet's own step, all objects together."""

    def __init__(self, model: Model, frames: torch.Tensor, clicks: dict[int, tuple[int, int]]) -> None:
        self.model, self.frames = model, frames
        self.options = TrackingOptions(fill_holes=0)
        self.policy = self.options.policy_for(model.config)
        self.tracks: dict[Any, ObjectTrack] = {}
        self.clicks = clicks

    @torch.inference_mode()
    def follow(self, frame: int) -> np.ndarray:
        """Low-resolution masks of all objects."""
        levels = self.model.encode_image(self.frames[frame : frame + 1])
        moment = self.options.moment(frame, SIZE, self.model.config)
        if frame == 0:
            self.tracks = {
                name: asking(ObjectTrack(RecentEntries(self.policy.window)), 0, make_prompt(SIZE, points=[click]))
                for name, click in self.clicks.items()
            }
        entries = step(self.model, levels, self.tracks, moment, self.policy)
        keep = answered if frame == 0 else followed
        self.tracks = {name: keep(self.tracks[name], entry) for name, entry in entries.items()}
        return np.stack([entry.logits.float().cpu().numpy() > 0 for entry in entries.values()])


class Theirs:
    """transformers' video model."""

    def __init__(self, model: Any, frames: torch.Tensor, clicks: dict[int, tuple[int, int]]) -> None:
        self.model = model
        self.session = begin_session(model, frames, SIZE, clicks)

    @torch.inference_mode()
    def follow(self, frame: int) -> np.ndarray:
        """Low-resolution masks of all objects."""
        return (self.model(self.session, frame_idx=frame).pred_masks[:, 0].float().cpu().numpy()) > 0


def measure(model: Any, theirs: Any, objects: int, count: int) -> dict[str, Any]:
    """Medians of both sides for a number of objects, and how far their masks agree."""
    frames = torch.cat([frame_tensor(picture, model) for picture in moving_frames(count)])
    clicks = {n + 1: (60 + 83 * n % 760, 40 + 131 * n % 400) for n in range(objects)}
    sides = {"ours": Ours(model, frames, clicks), "transformers": Theirs(theirs, frames, clicks)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    both = either = 0
    for frame in range(count):
        masks = {}
        for name, side in sides.items():
            begin = time.perf_counter()
            masks[name] = side.follow(frame)
            if frame >= WARM:
                seconds[name].append(time.perf_counter() - begin)
        a, b = masks.values()
        both, either = both + int((a & b).sum()), either + int((a | b).sum())
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "objects": objects,
        **medians,
        "ratio": medians["transformers"] / medians["ours"],
        "iou": both / either if either else 1.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sam2.1-tiny")
    parser.add_argument("--image-size", type=int, default=512)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3, 10])
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/video.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = masklet.build_model(args.model, seed=0, image_size=args.image_size)
    theirs = transformers_video_model(model)
    rows = [measure(model, theirs, objects, args.frames) for objects in args.objects]

    title = f"{args.model} at {args.image_size} px, float32, {args.threads} threads: seconds a frame, median"
    table = Table(title=title, title_justify="left")
    for name in ("objects", "masklet", "transformers", "ratio", "IoU of both"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            str(row["objects"]),
            f"{row['ours']:.2f}",
            f"{row['transformers']:.2f}",
            f"{row['ratio']:.2f}",
            f"{row['iou']:.5f}",
        )
    Console().print(table)
    machine = {"processor": platform.processor(), "cores": os.cpu_count(), "torch": torch.__version__}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(
        json.dumps({"machine": machine, "arguments": vars(args), "rows": rows}, indent=2, default=str)
    )


if __name__ == "__main__":
    main()
