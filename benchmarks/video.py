"""A tracked frame, ours and transformers', same weights, same frames, same threads, in one run.

    python benchmarks/video.py [--model sam2.1-tiny] [--image-size 512] [--objects 1 3 10] [--frames 10] [--threads 2]
    python benchmarks/video.py --image-size 1024 --speeds --others edgetam nano
    python benchmarks/video.py --image-size 1024 --device cuda --precision bfloat16 --compile --frames 40

Random weights, one click for each object on frame 0, then the frames are followed; all are given the resized,
normalised frames, so that reading and writing of video is no part of it. A figure is the median over the frames from
the fourth on, all sides taking turns frame by frame. Masks of the exact mode and of transformers are compared; what
the other speed modes cost in masks is told by `benchmarks/speeds.py`, with trained weights. With `--compile` ours is
compiled as well, beside itself uncompiled: the seconds of its first frames are told, and how many graphs were compiled
in them and later, where none should be.
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
from peers import begin_session, transformers_video_model
from rich.console import Console
from rich.table import Table

import masklet
from masklet.checkpoints import Model
from masklet.checkpoints.registry import SPEEDS, with_speed
from masklet.prompts import make_prompt
from masklet.video.edits import approved, asked, tracked
from masklet.video.options import TrackingOptions
from masklet.video.reader import frame_tensor
from masklet.video.state import ObjectTrack
from masklet.video.step import FrameContext, step
from masklet.video.store import RecentFrames

SIZE = (480, 854)
Clock = Callable[[], float]

CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "processor": time.process_time}
"""What is measured. Seconds of the processor, with one thread, are for machines that others share."""

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

    def __init__(self, model: Model, pictures: list[np.ndarray], clicks: dict[int, tuple[int, int]]) -> None:
        self.model = model
        self.frames = torch.cat([frame_tensor(picture, model) for picture in pictures])
        self.options = TrackingOptions(fill_holes=0)
        self.policy = self.options.policy_for(model.config)
        self.tracks: dict[Any, ObjectTrack] = {}
        self.clicks = clicks

    @torch.inference_mode()
    def follow(self, frame: int) -> np.ndarray:
        """Low-resolution masks of all objects."""
        levels = self.model.encode_image(self.frames[frame : frame + 1])
        context = FrameContext(self.model, levels, self.policy, self.options, frame, SIZE)
        if frame == 0:
            self.tracks = {
                name: asked(ObjectTrack(RecentFrames(self.policy.window)), 0, make_prompt(SIZE, points=[click]))
                for name, click in self.clicks.items()
            }
        found = step(self.tracks, context)
        keep = approved if frame == 0 else tracked
        self.tracks = {name: keep(self.tracks[name], known) for name, known in found.items()}
        return np.stack([known.logits.float().cpu().numpy() > 0 for known in found.values()])


class Theirs:
    """transformers' video model."""

    def __init__(self, model: Any, frames: torch.Tensor, clicks: dict[int, tuple[int, int]]) -> None:
        self.model = model
        self.session = begin_session(model, frames, SIZE, clicks)

    @torch.inference_mode()
    def follow(self, frame: int) -> np.ndarray:
        """Low-resolution masks of all objects."""
        return (self.model(self.session, frame_idx=frame).pred_masks[:, 0].float().cpu().numpy()) > 0


def placed(model: Model, device: str, dtype: torch.dtype, *, compiled: bool = False) -> Model:
    """A model on a device, with weights of a precision."""
    return Model(model.name, model.network.to(device, dtype).prepare(), compiled)


def graphs() -> int:
    """How many graphs were compiled so far."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def measure(models: dict[str, Model], theirs: Any, objects: int, count: int, clock: Clock) -> dict[str, Any]:
    """Medians of all sides for a number of objects, and how far the exact mode and transformers agree."""
    pictures = moving_frames(count)
    clicks = {n + 1: (60 + 83 * n % 760, 40 + 131 * n % 400) for n in range(objects)}
    sides: dict[str, Any] = {speed: Ours(model, pictures, clicks) for speed, model in models.items()}
    sides["transformers"] = Theirs(theirs, sides["exact"].frames, clicks)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    first = dict.fromkeys(sides, 0.0)
    before = early = graphs()
    both = either = 0
    for frame in range(count):
        masks = {}
        for name, side in sides.items():
            begin = clock()
            masks[name] = side.follow(frame)
            if frame >= WARM:
                seconds[name].append(clock() - begin)
            else:
                first[name] += clock() - begin
        if frame == WARM - 1:
            early = graphs()
        a, b = masks["exact"], masks["transformers"]
        both, either = both + int((a & b).sum()), either + int((a | b).sum())
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "objects": objects,
        "seconds": medians,
        "ratios": {speed: medians["transformers"] / medians[speed] for speed in models},
        "first": first,
        "graphs": {"first frames": early - before, "later frames": graphs() - early},
        "iou": both / either if either else 1.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sam2.1-tiny")
    parser.add_argument("--image-size", type=int, default=512)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3, 10])
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--clock", default="wall", choices=CLOCKS)
    parser.add_argument("--speeds", nargs="*", default=[s for s in SPEEDS if s != "exact"], choices=SPEEDS)
    parser.add_argument("--others", nargs="*", default=[], help="models beside it, each at its own image size")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/video.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = getattr(torch, args.precision)
    exact = placed(masklet.build_model(args.model, seed=0, image_size=args.image_size), args.device, dtype)
    models = {"exact": exact}
    for speed in args.speeds:
        quick = masklet.build_model(with_speed(exact.config, speed, None), seed=0)
        models[speed] = placed(quick, args.device, dtype)
    for name in args.others:
        models[name] = placed(masklet.build_model(name, seed=0), args.device, dtype)
    if args.compile:
        models["compiled"] = Model(exact.name, exact.network, compiled=True)
    theirs = transformers_video_model(exact).to(dtype)
    rows = [measure(models, theirs, objects, args.frames, CLOCKS[args.clock]) for objects in args.objects]

    title = (
        f"{args.model} at {args.image_size} px, {args.precision}, {args.device}, {args.threads} threads: "
        f"{args.clock} seconds a frame, median"
    )
    table = Table(title=title, title_justify="left")
    for name in ("objects", "transformers", *(f"{speed} (ratio)" for speed in models), "IoU of exact"):
        table.add_column(name, justify="right")
    for row in rows:
        seconds, ratios = row["seconds"], row["ratios"]
        ours = (f"{seconds[speed]:.2f} ({ratios[speed]:.2f})" for speed in ratios)
        table.add_row(str(row["objects"]), f"{seconds['transformers']:.2f}", *ours, f"{row['iou']:.5f}")
    console = Console(width=120)
    console.print(table)
    if args.compile:
        for row in rows:
            first, counted = row["first"]["compiled"], row["graphs"]
            told = f"{row['objects']} objects: {first:.1f} s for the first {WARM} frames compiled"
            console.print(f"{told}; graphs compiled: {counted['first frames']}, and {counted['later frames']} later")
    machine = {"processor": platform.processor(), "cores": os.cpu_count(), "torch": torch.__version__}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(
        json.dumps({"machine": machine, "arguments": vars(args), "rows": rows}, indent=2, default=str)
    )


if __name__ == "__main__":
    main()
