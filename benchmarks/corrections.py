"""What corrections are worth: J&F of a video after 0, 1, 2, 4 and 8 of them, by clicks and by masks.

    python benchmarks/corrections.py [--data FOLDER] [--model nano] [--videos libby bmx-trees]
        [--frames-every 1] [--clicks 1] [--by clicks masks] [--corrections local]

A box on the first frame, a pass to the end; then, again and again, the annotated frame with the lowest IoU that was not
corrected yet gets its true mask, or clicks on its largest errors; `propagate(start=frame, direction="both")` follows.
The annotator and the choice of the frame are those of `masklet eval interactive-offline`. A correction harms where
J&F is lower by more than 0.01 than before it. The first pass is also looked at for its signs of doubt: of the frames
with `needs_prompt`, how many have an IoU under 0.5 (precision), and of the frames with such an IoU, how many have a
sign (recall).

--frames-every 3 takes every third frame, which is quicker and harder to follow. Frames are encoded once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import get_args

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import masklet
from masklet.datasets.base import Clip
from masklet.datasets.registry import open_dataset
from masklet.engines.torch import Model
from masklet.evaluation.methods import TrackerSession
from masklet.evaluation.protocols import Annotator, Prompting, Workspace, objects_of, true_mask
from masklet.evaluation.videos import worst_frame
from masklet.formats.base import FrameLike
from masklet.prompts import make_prompt
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.options import Corrections

AFTER = (0, 1, 2, 4, 8)
"""Corrections after which J&F is measured."""

HARM = 0.01
"""J&F that a correction may cost."""

WRONG = 0.5
"""A frame with a lower IoU should have a sign of doubt."""

WAYS = ("clicks", "masks")

BUDGET = 2**29
"""Bytes for encoded frames: all of a video with `nano`."""


class BothWays(TrackerSession):
    """A tracker that follows in both directions from a correction, and forward from the first frame."""

    def follow(self, start: int) -> Iterator[FrameLike]:
        first = not self.tracker.tracks or len(self.tracker.events) == len(self.tracker.tracks)
        return self.tracker.propagate(start=start, direction="forward" if first else "both")


@dataclass
class Found:
    """One video.

    Attributes:
        frames: Its length.
        before: J&F before the first correction.
        after: Way of correcting -> J&F after each correction, from the first.
        signs: [flagged, flagged and wrong] by reason; "wrong" counts all wrong frames, "any" all flagged ones.
        seconds: What it took.
    """

    frames: int
    before: float = 0.0
    after: dict[str, list[float]] = field(default_factory=dict)
    signs: dict[str, list[int]] = field(default_factory=dict)
    seconds: float = 0.0


def thinned(clip: Clip, every: int) -> Clip:
    """Every n-th frame of a clip, in memory."""
    with clip.open() as source:
        pictures = tuple(frame.image for frame in source if frame.index % every == 0)
    masks = {frame // every: of for frame, of in clip.annotations.items() if frame % every == 0}
    return replace(clip, video=pictures, annotations=masks, enters={})


def correct(work: Workspace, frame: int, way: str, clicks: int) -> None:
    """Correct all objects in a frame."""
    truth = work.clip.masks(frame)
    for number in work.ious(frame):
        if way == "clicks":
            work.correct(frame, number, clicks, Annotator())
        else:
            mask = true_mask(truth, number)
            work.ask(frame, number, make_prompt(work.size, mask=mask))


def measure(clip: Clip, model: Model, args: argparse.Namespace, options: TrackingOptions) -> Found:
    """One video, corrected by clicks, and from the same first pass by masks."""
    began = time.perf_counter()
    found = Found(len(clip.annotated))
    with VideoTracker(clip.open(), model, options=options) as tracker:
        work = Workspace(clip, BothWays(tracker), tracker.size)
        first = work.begin(Prompting("box"))
        for _ in work.follow(first):
            pass
        found.before = jf(work)
        found.signs = signs(work, tracker)
        start, masks = len(tracker.events), {frame: dict(of) for frame, of in work.masks.items()}
        for way in args.by:
            while len(tracker.events) > start:
                tracker.undo()
            work.masks = {frame: dict(of) for frame, of in masks.items()}
            corrected, found.after[way] = set(objects_of(clip).values()), []
            for turn in range(1, args.most + 1):
                worst = worst_frame(work, corrected)
                if worst is not None:
                    corrected.add(worst)
                    correct(work, worst, way, args.clicks)
                    for _ in work.follow(worst):
                        pass
                found.after[way].append(jf(work))
                if args.verbose:
                    print(f"  {clip.name} {way} {turn}: frame {worst}, J&F {found.after[way][-1]:.3f}", file=sys.stderr)
    found.seconds = time.perf_counter() - began
    return found


def jf(work: Workspace) -> float:
    """Mean J&F over the objects."""
    return fmean(row["J&F"] for row in work.score("all").by_object().values())


def signs(work: Workspace, tracker: VideoTracker) -> dict[str, list[int]]:
    """[flagged, flagged and wrong] frames of the first pass, by reason."""
    flagged: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for frame in work.clip.annotated:
        doubts = tracker.result(frame).needs_prompt
        for number, iou in work.ious(frame).items():
            reasons = ["any", str(doubts[number])] if number in doubts else []
            reasons += ["wrong"] if iou < WRONG else []
            flagged.update(reasons)
            right.update(reasons if iou < WRONG else [])
    return {reason: [flagged[reason], right[reason]] for reason in flagged}


def table_of(title: str, found: Mapping[str, Found], way: str) -> Table:
    """A row for each video: J&F after so many corrections, and the worst step."""
    table = Table(title=f"{title}, by {way}: J&F after so many corrections", title_justify="left")
    table.add_column("video")
    steps = [n for n in AFTER if n <= len(next(iter(found.values())).after[way])]
    for n in steps:
        table.add_column(str(n), justify="right")
    table.add_column("worst step", justify="right")
    courses = {name: [one.before, *one.after[way]] for name, one in found.items()}
    for name, course in courses.items():
        table.add_row(name, *(f"{course[n]:.3f}" for n in steps), f"{worst_step(course):+.3f}")
    table.add_section()
    means = [fmean(course[n] for course in courses.values()) for n in steps]
    table.add_row("mean", *(f"{mean:.3f}" for mean in means), f"{sum(map(harms, courses.values()))} harm")
    return table


def worst_step(course: list[float]) -> float:
    """The least that one correction gained."""
    return min(np.diff(course))


def harms(course: list[float]) -> int:
    """Corrections that cost more than `HARM`."""
    return int((np.diff(course) < -HARM).sum())


def signs_table(found: Mapping[str, Found]) -> Table:
    """Precision and recall of the signs of doubt, by reason."""
    table = Table(title=f"signs of doubt in the first pass, against IoU < {WRONG}", title_justify="left")
    for column in ("reason", "flagged", "right", "precision", "recall"):
        table.add_column(column, justify="left" if column == "reason" else "right")
    total: dict[str, np.ndarray] = {}
    for one in found.values():
        for reason, counts in one.signs.items():
            total[reason] = total.get(reason, np.zeros(2, np.int64)) + counts
    wrong = int(total.pop("wrong", np.zeros(2, np.int64))[0])
    for reason, (flagged, right) in sorted(total.items(), key=lambda item: item[0] == "any"):
        table.add_row(reason, str(flagged), str(right), f"{right / flagged:.2f}", f"{right / max(wrong, 1):.2f}")
    table.caption = f"{wrong} of {sum(one.frames for one in found.values())} frames are wrong"
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="a folder with index.csv")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--videos", nargs="+", help="only these, by the last part of their names")
    parser.add_argument("--frames-every", type=int, default=1, metavar="N", help="take every n-th frame")
    parser.add_argument("--clicks", type=int, default=1, help="clicks of one correction")
    parser.add_argument("--most", type=int, default=max(AFTER), help="corrections of a video")
    parser.add_argument("--by", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--corrections", default="local", choices=get_args(Corrections), help="the tracker's rules")
    parser.add_argument("--verbose", action="store_true", help="tell J&F after every correction")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/corrections.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = masklet.load_model(args.model)
    found: dict[str, Found] = {}
    for clip in open_dataset("folder", args.data, args.split).clips:
        name = clip.name.rpartition("/")[2]
        if args.videos is None or name in args.videos:
            found[name] = measure(
                thinned(clip, args.frames_every),
                model,
                args,
                TrackingOptions(corrections=args.corrections, feature_budget=BUDGET),
            )
            print(f"{name}: {found[name].seconds:.0f} s", file=sys.stderr)
            args.output.parent.mkdir(parents=True, exist_ok=True)
            kept = {"arguments": vars(args), "videos": {of: asdict(one) for of, one in found.items()}}
            args.output.write_text(json.dumps(kept, indent=2, default=str))
    every = f", every {args.frames_every} frames" if args.frames_every > 1 else ""
    console = Console(width=120)
    for way in args.by:
        told = f" ({args.clicks} each)" if way == "clicks" else ""
        console.print(table_of(f"{args.model}{every}{told}", found, way))
    console.print(signs_table(found))


if __name__ == "__main__":
    main()
