"""What `masklet loop` saves: rounds of annotating, training and annotating again, with a simulated annotator.

    python benchmarks/loop.py --data ../shared/data --work /tmp/loop [--rounds 3] [--plot docs/images/loop.png]

Pictures of a few sources are shown as a heat camera would show them (benchmarks/finetune.py), as `nano` knows them as
they are. In each round the annotator has a budget of seconds. It takes pictures from the queue, clicks on each object
until its mask has an IoU of 0.85 or ten clicks are made, and hands in what it has then, right or not. Then the loop
collects, trains, scores and keeps or not. Against it: the same with pictures at random; and no loop, which is round 0.

After each round the model in use is measured on other pictures: clicks on each object to that IoU, ten at most, and
seconds. A click takes 2 seconds and an object 3 more, guesses that are the same for all; the network's time comes on
top.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from finetune import heat
from numpy.typing import NDArray
from PIL import Image

import masklet
from masklet.datasets.base import IndexMasks
from masklet.discovery import DiscoveryOptions
from masklet.evaluation.annotator import Annotator
from masklet.evaluation.methods import Look
from masklet.evaluation.model import look_at
from masklet.evaluation.protocols.base import Stopwatch
from masklet.formats.davis import read_index_png, write_index_png
from masklet.image import EverythingOptions, ImagePredictor
from masklet.loop import ahead
from masklet.loop.collect import collect
from masklet.loop.learn import judge, learn
from masklet.loop.project import Loop
from masklet.loop.queue import make_queue
from masklet.metrics.region import region_similarity
from masklet.metrics.sequence import VOID
from masklet.prompts import Prompt, merge_prompts

SOURCES = ("animals", "road_peru", "pennfudan", "electronics")
POOL, TEST = 6, 6
"""Pictures of each source to annotate, and to measure on, at most."""

OBJECTS = 3
"""The largest of each picture."""

GOOD, MOST_CLICKS = 0.85, 10
CLICK, OBJECT = 2.0, 3.0
"""Seconds of a person."""

BUDGET = 300.0
"""Seconds of a round."""


@dataclass
class Work:
    """What annotating took."""

    objects: int = 0
    clicks: int = 0
    iou: float = 0.0
    watch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def seconds(self) -> float:
        """Of a person, with the network's time."""
        return self.clicks * CLICK + self.objects * OBJECT + self.watch.seconds

    @property
    def told(self) -> dict[str, float]:
        """By object."""
        count = max(self.objects, 1)
        per = {"clicks": self.clicks / count, "seconds": self.seconds / count, "IoU": self.iou / count}
        return {"objects": self.objects, **per}


def click_all(
    engine: masklet.Model, image: NDArray[np.uint8], labels: NDArray[np.uint8], work: Work
) -> NDArray[np.uint8]:
    """The annotator on one picture; what it hands in, an index map."""
    handed, truth, annotator = np.full_like(labels, VOID), IndexMasks(labels), Annotator()
    handed[labels == 0] = 0  # nobody says what else there is
    areas = truth.areas()
    with work.watch:
        predictor = ImagePredictor(engine)
        picture = predictor.encode(image)
    for number in sorted(areas, key=lambda number: -areas[number])[:OBJECTS]:
        look, said = look_at(predictor, picture), list[Prompt]()

        def ask(prompt: Prompt, look: Look = look, said: list[Prompt] = said) -> NDArray[np.bool_]:
            said.append(merge_prompts(said[-1] if said else None, prompt))
            with work.watch:
                return look(said[-1:])[0].mask

        made, mask = annotator.clicks(MOST_CLICKS, ask, None, truth[number], truth.void, good=GOOD)
        work.objects, work.clicks = work.objects + 1, work.clicks + made
        if mask is not None:
            work.iou += float(region_similarity(mask, truth[number], truth.void))
            handed[mask] = number
    return handed


def write_pictures(data: Path, out: Path) -> None:
    """Pool and test as a heat camera shows them: pictures, and true masks beside them."""
    rng = np.random.default_rng(0)
    rows = [row for row in csv.DictReader((data / "index.csv").open()) if row["kind"] == "image"]
    for split, folder, most in (("train", "pool", POOL), ("val", "test", TEST)):
        for source in SOURCES:
            chosen = [row for row in rows if (row["source"], row["split"]) == (source, split)]
            for place in sorted(rng.permutation(len(chosen))[:most]):
                row = chosen[place]
                name = f"{source}-{Path(row['path']).stem}"
                image = np.array(Image.open(data / row["path"]).convert("RGB"))
                (out / folder).mkdir(parents=True, exist_ok=True)
                (out / "truth").mkdir(exist_ok=True)
                Image.fromarray(heat(image)).save(out / folder / f"{name}.jpg", quality=92)
                shutil.copyfile(data / row["masks"], out / "truth" / f"{name}.png")


def measured(engine: masklet.Model, pictures: Sequence[Path], truth: Path) -> dict[str, float]:
    """What annotating these pictures takes with a model."""
    work = Work()
    for path in pictures:
        click_all(engine, np.array(Image.open(path)), read_index_png(truth / f"{path.stem}.png"), work)
    return work.told


def annotated_round(loop: Loop, engine: masklet.Model, order: Sequence[Path], truth: Path, seed: str) -> Work:
    """A round of the annotator: pictures in that order until the budget is spent, as an index of their own."""
    work, rows, folder = Work(), [], loop.project / f"by-hand-{seed}"
    folder.mkdir(exist_ok=True)
    for path in order:
        if work.seconds >= BUDGET:
            break
        handed = click_all(engine, np.array(Image.open(path)), read_index_png(truth / f"{path.stem}.png"), work)
        write_index_png(folder / f"{path.stem}.png", handed)
        rows.append(("image", path, folder / f"{path.stem}.png", "train"))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("kind", "path", "masks", "split"), *rows])
    loop.ask(data=(*loop.asked.data, f"index:{folder}"))
    return work


def rounds(name: str, folder: Path, args: argparse.Namespace, known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rounds of one way to choose, those that are not known yet."""
    loop, truth, test = Loop(folder / name), folder / "truth", sorted((folder / "test").glob("*.jpg"))
    loop.ask(model=args.model, sources=(str(folder / "pool"),), steps=args.steps)
    for turn in range(len(known) + 1, args.rounds + 1):
        engine = masklet.load_model(loop.weights(), device="cpu")
        if len(loop.asked.data) < turn:
            if name == "queue":
                order = [Path(one.path) for one in make_queue(loop, engine, ahead.annotate(loop, engine, print))]
            else:
                left = sorted(item.path for item in ahead.unlabelled(loop))
                order = [left[place] for place in np.random.default_rng(turn).permutation(len(left))]
            work = annotated_round(loop, engine, order, truth, str(turn))
            (loop.project / f"work-{turn}.json").write_text(json.dumps(work.told))
        if collect(loop, print).version is not None:
            learn(loop, "cpu")
            judge(loop, "cpu")
        version = loop.versions.judged[-1]
        figures = measured(masklet.load_model(loop.weights(), device="cpu"), test, truth)
        spent = json.loads((loop.project / f"work-{turn}.json").read_text())
        yield {"round": turn, "kept": version.kept, "after": version.after, "spent": spent, "test": figures}


def draw(found: Mapping[str, list[dict[str, Any]]], path: Path) -> None:
    """Clicks and seconds for each object of the test pictures over the rounds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    styles = {"queue": ("o-", "by the queue"), "random": ("s--", "at random"), "none": (":", "no loop")}
    for axes, what in zip(figure.subplots(1, 2), ("clicks", "seconds"), strict=True):
        start = found["none"][0]["test"][what]
        for name, (style, label) in styles.items():
            points = [start, *(one["test"][what] for one in found[name])] if name != "none" else []
            if points:
                axes.plot(range(len(points)), points, style, markersize=4, label=label)
            else:
                axes.axhline(start, linestyle=style, color="grey", label=label)
        axes.set(xlabel="rounds", ylabel=f"{what} an object")
        axes.set_xticks(range(len(found["queue"]) + 1))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    figure.axes[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and images")
    parser.add_argument("--work", type=Path, required=True, help="folder where it is kept; the same again goes on")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--plot", type=Path, help="write the curves as a picture")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/loop.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    ahead.LOOKING = DiscoveryOptions(most=8, masks=EverythingOptions(points_per_side=6))  # quick, and coarse
    results = args.work / "results.json"
    found: dict[str, list[dict[str, Any]]] = {"none": [], "queue": [], "random": []}
    if results.exists():
        found |= json.loads(results.read_text())
    if not (args.work / "truth").exists():
        write_pictures(args.data, args.work)
    test = sorted((args.work / "test").glob("*.jpg"))

    def keep(name: str, row: dict[str, Any]) -> None:
        found[name].append(row)
        results.write_text(json.dumps(found, indent=1))
        print(name, json.dumps(row), flush=True)

    if not found["none"]:
        engine = masklet.load_model(args.model, device="cpu")
        keep("none", {"round": 0, "test": measured(engine, test, args.work / "truth")})
    for name in ("queue", "random"):
        for row in rounds(name, args.work, args, found[name]):
            keep(name, row)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(results, args.output)
    if args.plot:
        draw(found, args.plot)


if __name__ == "__main__":
    main()
