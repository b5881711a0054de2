"""One example, many pictures: a thing marked in one frame of a video is looked for in frames far from it.

    python benchmarks/like.py --data ../shared/data [--model nano]

Of each labelled validation video the first frame is the example, and the frames at a half, three quarters and the end
are the other pictures; with two examples the frame at a quarter is marked too. In the first frame of the next video the
thing is absent. Each picture is looked at alone: nothing is tracked.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import masklet
from masklet.formats.davis import read_index_png
from masklet.media.source import open_video
from masklet.metrics.region import region_similarity

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
    rows = [r for r in csv.DictReader((args.data / "index.csv").open()) if r["kind"] == "video" and r["split"] == "val"]
    videos = [five_frames(args.data, row) for row in rows]
    table = Table(title=f"{args.model}, {len(videos)} videos", title_justify="left")
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
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
