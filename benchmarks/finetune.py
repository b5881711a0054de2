"""What fine-tuning on ten clips of one domain gives: videos as a heat camera shows them, before and after.

    python benchmarks/finetune.py --data ../shared/data [--steps 200] [--plot docs/images/finetune.png]

There are no labelled heat videos at hand, so ten training and eleven validation videos are shown as such a camera
would: brightness in false colours, soft, with grain. What is learned from is written as frames and index PNGs, as DAVIS
has them, and learned with the recipe of `masklet finetune`. The figure is J&F of the validation videos from their first
mask, on up to 20 frames each, in false colours and, to see what is forgotten, in their own.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import masklet
from masklet.formats.davis import read_index_png
from masklet.loop.learn import Amounts, held_out
from masklet.media.source import open_video
from masklet.training.data import read_data
from masklet.training.loop import RunOptions, train
from masklet.training.recipes import finetune_small

CLIPS = 10
"""Videos that are learned from."""

FRAMES = 24
"""Of each of them, from its beginning."""

Look = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def heat(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 as a heat camera might show it: dark things glow, edges are soft, the picture has grain."""
    warm = 255 - cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.5).astype(np.float32)
    grain = np.random.default_rng(int(picture[::7, ::7].sum())).normal(0, 6, warm.shape)
    colours = cv2.applyColorMap(np.clip(warm + grain, 0, 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB).astype(np.uint8)


def as_it_is(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture


def write_videos(data: Path, rows: Sequence[dict[str, str]], folder: Path, look: Look) -> str:
    """The first frames of videos of an index as JPEGImages and Annotations; returns how training data names them."""
    for row in rows:
        name = Path(row["path"]).stem
        pictures, masks = folder / "JPEGImages" / name, folder / "Annotations" / name
        pictures.mkdir(parents=True)
        masks.mkdir(parents=True)
        with open_video(data / row["path"]) as video:
            for number, frame in enumerate(islice(video, FRAMES)):
                size = (frame.image.shape[1] // 2, frame.image.shape[0] // 2)
                small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
                Image.fromarray(look(small.astype(np.uint8))).save(pictures / f"{number:05d}.jpg", quality=92)
                labels = read_index_png(data / row["masks"] / f"{number:05d}.png").astype(np.uint8)
                shrunk = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
                Image.fromarray(shrunk).save(masks / f"{number:05d}.png")
    return f"frames:{folder}"


def draw(curves: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """J&F over steps, a line for each kind of video."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3.5, label=name)
    axes.set(xlabel="steps on ten clips", ylabel="J&F")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and videos")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", type=int, default=50, help="steps between validations")
    parser.add_argument("--plot", type=Path, help="write the curves as a picture")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/finetune.json"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [row for row in csv.DictReader((args.data / "index.csv").open()) if row["kind"] == "video"]
    learned, held = ([row for row in rows if row["split"] == split] for split in ("train", "val"))
    model = masklet.load_model(args.model, device="cpu")
    curves: dict[str, list[tuple[int, float]]] = {"as a heat camera": [], "as they are": []}
    with TemporaryDirectory(prefix="masklet-") as temporary:
        folder = Path(temporary)
        lessons = read_data([write_videos(args.data, learned[:CLIPS], folder / "learned", heat)])
        judges = {
            name: held_out(
                read_data([write_videos(args.data, held, folder / name, look)]),
                Amounts(pictures=0, videos=len(held)),
            )
            for name, look in zip(curves, (heat, as_it_is), strict=True)
        }

        def judge(judged: masklet.Model) -> dict[str, float]:
            step = args.every * len(curves["as they are"])
            for name, figures in judges.items():
                curves[name].append((min(step, args.steps), figures(judged)["video"]))
            print({name: f"{points[-1][0]} steps: {points[-1][1]:.3f}" for name, points in curves.items()}, flush=True)
            return {name: points[-1][1] for name, points in curves.items()}

        judge(model)
        train(
            finetune_small(model.name, steps=args.steps, image_size=model.network.config.image_size),
            model.network.requires_grad_(True),
            lessons,
            RunOptions(folder / "run", validate_every=args.every, save_every=args.steps),
            validate=judge,
        )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(curves, indent=2))
    if args.plot:
        draw(curves, args.plot)


if __name__ == "__main__":
    main()
