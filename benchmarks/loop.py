"""What `masklet loop` saves: rounds of annotating, training and annotating again, with a simulated annotator.

    python benchmarks/loop.py --data ../shared/data --work /tmp/loop [--rounds 3] [--plot docs/images/loop.png]

One domain that `nano` has not learned from: pieces of clothing in fashion photographs, the four largest of each. Pool
and test are drawn from all. In each round the annotator has a budget of seconds. It takes pictures from the queue and
clicks on each object until its mask has an IoU of 0.85. After ten clicks it draws the object by hand. Then the loop
collects, trains, scores and keeps or not. Against it: the same with pictures at random; and no loop, which is round 0.

After each round the model in use is measured on the test pictures: clicks on each object to that IoU, ten at most, and
a person's seconds. A click takes 2 seconds, an object 3 more, and drawing 30 more: guesses that are the same for all.
The network's time is left out, as it is the same for all, and this machine's load is not.
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
from numpy.typing import NDArray
from PIL import Image

import masklet
from masklet.datasets.base import IndexMasks
from masklet.discovery import DiscoveryOptions
from masklet.evaluation.methods import Predict, look_at
from masklet.evaluation.protocols import Annotator
from masklet.formats.davis import read_index_png, write_index_png
from masklet.image import EverythingOptions, ImagePredictor
from masklet.loop import ahead
from masklet.loop.collect import collect
from masklet.loop.learn import judge, learn
from masklet.loop.project import Loop
from masklet.metrics.jf import region_similarity
from masklet.prompts import Prompt, merge_prompts

SOURCE = "clothing_parts"
TEST = 40
"""Pictures to measure on; the others are the pool to annotate."""

MOST = 4
"""Objects of a picture."""

GOOD, MAX_CLICKS = 0.85, 10
CLICK, OBJECT, DRAWING = 2.0, 3.0, 30.0
"""Seconds of a person."""

BUDGET = 600.0
"""Seconds of a round."""

SETTINGS = ("stages.*.optimizer.rate=3e-4", "stages.*.feed.clip_share=0.0")
"""Of the training: more is to be learned than another look, and there are no videos."""


@dataclass
class Work:
    """What annotating took."""

    clicks: list[int] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)

    @property
    def drawn(self) -> int:
        """Objects that clicks did not get."""
        return sum(iou < GOOD for iou in self.ious)

    @property
    def seconds(self) -> float:
        """Of a person."""
        return sum(self.clicks) * CLICK + len(self.clicks) * OBJECT + self.drawn * DRAWING

    @property
    def told(self) -> dict[str, Any]:
        """By object; and the clicks of each."""
        count = max(len(self.clicks), 1)
        per = {"clicks": sum(self.clicks) / count, "seconds": self.seconds / count, "IoU": sum(self.ious) / count}
        return {"objects": len(self.clicks), "drawn": self.drawn, **per, "each": self.clicks}


def click_all(
    engine: masklet.Model, image: NDArray[np.uint8], labels: NDArray[np.uint8], work: Work
) -> NDArray[np.uint8]:
    """The annotator on one picture; what it hands in, an index map."""
    handed, truth, annotator = np.zeros_like(labels), IndexMasks(labels), Annotator()
    predictor = ImagePredictor(engine)
    picture = predictor.encode(image)
    for number in truth:
        look, said = look_at(predictor, picture), list[Prompt]()

        def ask(prompt: Prompt, look: Predict = look, said: list[Prompt] = said) -> NDArray[np.bool_]:
            said.append(merge_prompts(said[-1] if said else None, prompt))
            return look(said[-1:])[0].mask

        made, mask = annotator.clicks(MAX_CLICKS, ask, None, truth[number], truth.void, good=GOOD)
        iou = float(region_similarity(mask, truth[number], truth.void)) if mask is not None else 0.0
        work.clicks.append(made)
        work.ious.append(iou)
        handed[mask if mask is not None and iou >= GOOD else truth[number]] = number
    return handed


def write_pictures(data: Path, out: Path) -> None:
    """Pool and test: pictures, and true masks beside them."""
    rows = [row for row in csv.DictReader((data / "index.csv").open()) if row["source"] == SOURCE]
    for folder in ("pool", "test", "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for turn, place in enumerate(np.random.default_rng(0).permutation(len(rows))):
        path, masks = data / rows[place]["path"], read_index_png(data / rows[place]["masks"])
        name = f"photo-{path.stem}"  # a folder of bare numbers would be the frames of a video
        shutil.copyfile(path, out / ("test" if turn < TEST else "pool") / f"{name}{path.suffix}")
        numbers, areas = np.unique(masks[(masks > 0) & (masks < 255)], return_counts=True)
        truth = np.zeros_like(masks)
        for number, kept in enumerate(numbers[areas.argsort()[::-1][:MOST]], start=1):
            truth[masks == kept] = number
        write_index_png(out / "truth" / f"{name}.png", truth)


def picture_of(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB."""
    return np.array(Image.open(path).convert("RGB"))


def measured(engine: masklet.Model, pictures: Sequence[Path], truth: Path) -> dict[str, float]:
    """What annotating these pictures takes with a model."""
    work = Work()
    for path in pictures:
        click_all(engine, picture_of(path), read_index_png(truth / f"{path.stem}.png"), work)
    return work.told


def annotated_round(loop: Loop, engine: masklet.Model, order: Sequence[Path], truth: Path, seed: str) -> Work:
    """A round of the annotator: pictures in that order until the budget is spent, as an index of their own."""
    work, rows, folder = Work(), [], loop.project / f"by-hand-{seed}"
    folder.mkdir(exist_ok=True)
    for path in order:
        if work.seconds >= BUDGET:
            break
        handed = click_all(engine, picture_of(path), read_index_png(truth / f"{path.stem}.png"), work)
        write_index_png(folder / f"{path.stem}.png", handed)
        rows.append(("image", path, folder / f"{path.stem}.png", "train"))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("kind", "path", "masks", "split"), *rows])
    loop.ask(data=(*loop.asked.data, f"index:{folder}"))
    return work


def rounds(name: str, folder: Path, args: argparse.Namespace, known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rounds of one way to choose, those that are not known yet."""
    loop, truth, test = Loop(folder / name), folder / "truth", sorted((folder / "test").iterdir())
    loop.ask(model=args.model, sources=(str(folder / "pool"),), steps=args.steps, settings=SETTINGS)
    for turn in range(len(known) + 1, args.rounds + 1):
        engine = masklet.load_model(loop.weights(), device="cpu")
        if len(loop.asked.data) < turn:
            if name == "queue":
                order = [Path(one.path) for one in ahead.make_queue(loop, engine, ahead.annotate(loop, engine, print))]
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
    """Clicks and seconds for each object of the test pictures over the rounds, and for each that was annotated."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.0), layout="constrained")
    styles = {"queue": ("o-", "by the queue"), "random": ("s--", "at random"), "none": (":", "no loop")}
    shown = (("test", "clicks"), ("test", "seconds"), ("spent", "seconds"))
    titles = {"test": "test pictures", "spent": "pictures that were annotated"}
    for axes, (part, what) in zip(figure.subplots(1, 3), shown, strict=True):
        start = found["none"][0]["test"][what]
        for name, (style, label) in styles.items():
            rows = [row for row in found[name] if part in row]
            if name == "none":
                axes.axhline(start, linestyle=style, color="grey", label=label)
            elif rows:
                before = [(0, start)] if part == "test" else []
                points = [*before, *((row["round"], row[part][what]) for row in rows)]
                axes.plot(*zip(*points, strict=True), style, markersize=4, label=label)
        axes.set(xlabel="round", ylabel=f"{what} an object", title=titles[part], ylim=(0, None))
        axes.set_xticks(range(len(found["queue"]) + 1))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    figure.axes[0].legend(frameon=False, loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and images")
    parser.add_argument("--work", type=Path, required=True, help="folder where it is kept; the same again goes on")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--plot", type=Path, help="write the curves as a picture")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/loop.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    ahead.DISCOVERY = DiscoveryOptions(most=8, masks=EverythingOptions(points_per_side=6))  # quick, and coarse
    results = args.work / "results.json"
    found: dict[str, list[dict[str, Any]]] = {"none": [], "queue": [], "random": []}
    if results.exists():
        found |= json.loads(results.read_text())
    if not (args.work / "truth").exists():
        write_pictures(args.data, args.work)
    test = sorted((args.work / "test").iterdir())

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
