"""How well scene cuts are noticed: labelled videos, and every ordered pair of them joined.

    python benchmarks/cuts.py --data ../shared/data

A joint is a true cut; it is tried at three places of each pair. Any other flagged frame is a false alarm.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from masklet.media.source import open_video
from masklet.video.review import FRAMES_BEFORE, change, is_cut_of, signature

PLACES = (0.25, 0.5, 0.75)
"""Where clips are joined: this share of the first one is played, and of the second one left out."""


def flagged(colours: list[bytes]) -> list[int]:
    """Frames that begin a scene."""
    return [
        f for f in range(1, len(colours)) if is_cut_of(colours[f], colours[max(0, f - FRAMES_BEFORE - 1) : f][::-1])
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and videos")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/cuts.json"))
    args = parser.parse_args()
    table = Table(title="scene cuts", title_justify="left")
    for name in ("videos", "frames", "greatest change within", "joints", "least change", "found", "false alarms"):
        table.add_column(name, justify="left" if name == "videos" else "right")
    results = {}
    for split in ("val", "train"):
        rows = [
            r for r in csv.DictReader((args.data / "index.csv").open()) if (r["kind"], r["split"]) == ("video", split)
        ]
        clips = [[signature(frame.image) for frame in open_video(args.data / row["path"])] for row in rows]
        found = measure(clips)
        results[split] = found
        table.add_row(
            f"{len(clips)} {split}",
            str(found["frames"]),
            f"{found['within']:.3f}",
            str(found["joints"]),
            f"{found['least']:.3f}",
            str(found["found"]),
            str(found["false"]),
        )
    Console(width=110).print(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(results, indent=2))


def measure(clips: list[list[bytes]]) -> dict[str, float]:
    """Joints found, false alarms within the clips, and the changes on both."""
    within = [change(a, b) for clip in clips for a, b in itertools.pairwise(clip)]
    joints, found = [], 0
    for (first, second), place in itertools.product(itertools.permutations(clips, 2), PLACES):
        end, start = max(1, int(place * len(first))), int((1 - place) * len(second))
        joints.append(change(first[end - 1], second[start]))
        found += is_cut_of(second[start], first[max(0, end - FRAMES_BEFORE - 1) : end][::-1])
    return {
        "frames": sum(len(clip) for clip in clips),
        "within": float(np.max(within)),
        "joints": len(joints),
        "least": float(np.min(joints)),
        "found": found,
        "false": sum(len(flagged(clip)) for clip in clips),
    }


if __name__ == "__main__":
    main()
