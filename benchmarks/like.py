"""One example, many pictures: a thing marked in one frame of a video is looked for in frames far from it.

    python benchmarks/like.py --data ../shared/data [--model nano]

Of each labelled validation video the first frame is the example, and the frames at a half, three quarters and the end
are the other pictures; with two examples the frame at a quarter is marked too. In the first frame of the next video the
thing is absent. Each picture is looked at alone: nothing is tracked.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import masklet
from masklet.formats.davis import read_index_png
from masklet.image import ImagePredictor
from masklet.image.like import find_like, learn_example
from masklet.media.source import open_video
from masklet.metrics.jf import region_similarity

KINDS = (
    {"car-shadow", "car-turn", "drift-chicane", "drift-straight", "drift-turn"},
    {"horsejump-high", "horsejump-low"},
    {"libby", "dog-agility"},
    {"breakdance", "breakdance-flare", "dance-jump", "dance-twirl"},
    {"motocross-jump", "motocross-bumps", "motorbike"},
    {"bmx-trees", "bmx-bumps"},
    {"paragliding-launch", "paragliding"},
    {"scooter-black", "scooter-gray"},
)

LEAST = (0.8, 0.84, 0.86, 0.88, 0.9, 0.92)
"""Thresholds of the second table."""

Marked = list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]


def five_frames(data: Path, row: dict[str, str]) -> Marked:
    """Frames at 0, 1/4, 1/2, 3/4 and the end, each with its mask."""
    with open_video(data / row["path"]) as source:
        wanted = np.linspace(0, int(row["frames"]) - 1, 5).astype(int).tolist()
        return [(source.read(n).image, read_index_png(data / row["masks"] / f"{n:05d}.png") == 1) for n in wanted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and videos")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = masklet.load_model(args.model)
    every = [r for r in csv.DictReader((args.data / "index.csv").open()) if r["kind"] == "video"]
    rows = [row for row in every if row["split"] == "val"]
    videos = [five_frames(args.data, row) for row in rows]
    Console(width=100).print(of_pictures(model, args.model, videos))
    alike = [row for row in every if any(stem(row) in kind for kind in KINDS) and row["split"] != "val"]
    clips = {stem(row): video for row, video in zip(rows, videos, strict=True)}
    Console(width=100).print(of_clips(model, clips, {stem(row): five_frames(args.data, row) for row in alike}))


def stem(row: dict[str, str]) -> str:
    return Path(row["path"]).stem


def of_pictures(model: masklet.Model, name: str, videos: Sequence[Marked]) -> Table:
    """The first table."""
    table = Table(title=f"{name}, {len(videos)} videos", title_justify="left")
    for column in ("examples", "mean IoU", "IoU over 0.5", "presence where it is", "presence where it is not"):
        table.add_column(column, justify="right")
    for examples in (1, 2):
        ious, there, absent = [], [], []
        for frames, other in zip(videos, [*videos[1:], videos[0]], strict=True):
            pictures, masks = zip(*frames[:examples], strict=True)
            others = [image for image, _ in (*frames[2:], other[0])]
            *found, away = masklet.segment_like(list(pictures), list(masks), others, model)
            pairs = zip(found, frames[2:], strict=True)
            ious += [float(region_similarity(one[0], truth)) for one, (_, truth) in pairs]
            there += [one.presence[0] for one in found]
            absent.append(away.presence[0])
        right = np.mean(np.array(ious) > 0.5)
        table.add_row(
            str(examples), f"{np.mean(ious):.3f}", f"{right:.0%}", f"{np.mean(there):.2f}", f"{np.mean(absent):.2f}"
        )
    return table


def of_clips(model: masklet.Model, examples: Mapping[str, Marked], others: Mapping[str, Marked]) -> Table:
    """The second table."""
    clips, predictor = {**examples, **others}, ImagePredictor(model)
    seen = {name: predictor.encode([image for image, _ in frames[2::2]]) for name, frames in clips.items()}
    pairs = []  # of an example and a clip: whether it is the same video, or of the same kind, likeness, and IoU
    for name, frames in examples.items():
        example = learn_example(model, frames[:1])
        for clip, pictures in seen.items():
            found = [find_like(model, picture, example) for picture in pictures]
            best = max(range(len(found)), key=lambda place: found[place][1])
            iou = float(region_similarity(found[best][0], clips[clip][2::2][best][1]))
            alike = any({name, clip} <= kind for kind in KINDS)
            pairs.append((name == clip, alike and name != clip, found[best][1], iou))
    same, alike, likeness, iou = (np.array(column) for column in zip(*pairs, strict=True))
    table = Table(title=f"{len(examples)} examples, {len(clips)} clips, {len(pairs)} pairs", title_justify="left")
    for column in ("likeness from", "found in its video", "mask right", "of its kind", "others", "precision"):
        table.add_column(column, justify="right")
    for least in LEAST:
        kept = likeness >= least
        shares = (
            kept[same].mean(),
            (iou[kept & same] > 0.5).mean() if (kept & same).any() else 0.0,
            kept[alike].mean(),
            kept[~same & ~alike].mean(),
            (same | alike)[kept].mean() if kept.any() else 1.0,
        )
        table.add_row(f"{least:.2f}", *(f"{share:.0%}" for share in shares))
    return table


if __name__ == "__main__":
    main()
