"""What the drop-in's names cost over the classes behind them: same model, same frames, taking turns, in one run.

    python benchmarks/compat.py [--frames 30] [--rounds 5]

`nano` on the sample clip, one box; and one click on one encoded picture. A figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib import resources
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import masklet
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor
from masklet.compat.sam2.sam2_video_predictor import SAM2VideoPredictor
from masklet.compat.sam2.settings import VIDEO_POSTPROCESSING, Settings, tracking_options

CLIP = str(resources.files("masklet") / "samples" / "clip.mp4")
BOX = (300, 120, 480, 330)
CLICK = (390, 230)
SETTINGS = Settings(**VIDEO_POSTPROCESSING)


def native_video(model: masklet.VideoTracker, frames: int) -> None:
    with masklet.VideoTracker(CLIP, model, options=tracking_options(SETTINGS, model.config)) as tracker:
        tracker.add_box(frame=0, object=1, box=BOX)
        for result in islice(tracker.propagate(), frames):
            _ = {name: found.full_logits() > 0 for name, found in result.objects.items()}


def drop_in_video(model: masklet.VideoTracker, frames: int) -> None:
    predictor = SAM2VideoPredictor(model, SETTINGS)
    state = predictor.init_state(CLIP)
    predictor.add_new_points_or_box(state, 0, 1, box=BOX)
    for _, ids, logits in islice(predictor.propagate_in_video(state), frames):
        _ = {name: (mask[0] > 0).numpy() for name, mask in zip(ids, logits, strict=True)}


def seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=30, help="frames to follow")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side takes its turn")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = masklet.load_model()
    image = np.random.default_rng(0).integers(0, 255, (480, 854, 3), np.uint8)
    native = masklet.ImagePredictor(model)
    picture = native.encode(image)
    drop_in = SAM2ImagePredictor(SAM2Base(model))
    drop_in.set_image(image)

    def native_click() -> None:
        for _ in range(20):
            _ = native.predict(picture, points=[CLICK], multimask=True).masks

    def drop_in_click() -> None:
        for _ in range(20):
            drop_in.predict(point_coords=np.array([CLICK]), point_labels=np.array([1]))

    cases = {
        f"{arguments.frames} frames": (
            lambda: native_video(model, arguments.frames),
            lambda: drop_in_video(model, arguments.frames),
        ),
        "20 clicks": (native_click, drop_in_click),
    }
    table = Table("", "masklet", "drop-in", "overhead", title=f"nano, {arguments.threads} threads")
    found = {}
    for name, (ours, theirs) in cases.items():
        ours(), theirs()
        rounds = [(seconds(ours), seconds(theirs)) for _ in range(arguments.rounds)]
        base, with_names = (statistics.median(column) for column in zip(*rounds, strict=True))
        overhead = with_names / base - 1
        found[name] = {"masklet_s": base, "drop_in_s": with_names, "overhead": overhead}
        table.add_row(name, f"{base:.3f} s", f"{with_names:.3f} s", f"{overhead:+.1%}")
    Console().print(table)
    facts = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__, **vars(arguments)}
    results = Path(__file__).parent / "results" / "compat.json"
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps({**facts, "cases": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
