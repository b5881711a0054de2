"""Learning curves of training runs, one after another: what was answered while learning, and what validation said.

    python benchmarks/curves.py runs/first runs/second --plot docs/images/nano-curves.png

Reads `log.jsonl` of each run. Steps of all runs and stages are counted on; a dotted line is where a stage begins.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

SHORT = 10
"""Stages of fewer steps are left out: they only pass by."""

LEARNED = "iou"
"""Mean IoU of the answers while learning, of all prompts and corrections."""

JUDGED = {"box": "a box", "click": "one click", "video": "video, J&F"}
"""Figures of validation, and what they are called."""


def read_curves(runs: list[Path]) -> tuple[dict[str, list[tuple[int, float]]], dict[int, str]]:
    """-> figure -> (step, value), and first step -> name of each stage."""
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    begins: dict[int, str] = {}
    done = 0
    for records in stages(runs):
        last = records[-1]["step"]
        if last < SHORT:
            continue
        begins[done] = records[0]["stage"]
        for record in records:
            for name in (LEARNED, *JUDGED):
                if name in record:
                    curves[name].append((done + record["step"], record[name]))
        done += last
    return curves, begins


def stages(runs: list[Path]) -> list[list[dict[str, Any]]]:
    """The records of each stage of each run."""
    lines = [json.loads(line) for run in runs for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    found: list[list[dict[str, Any]]] = []
    for record in lines:
        before = found[-1][-1] if found else None
        if before is None or record["stage"] != before["stage"] or record["step"] < before["step"]:
            found.append([])
        found[-1].append(record)
    return found


def smooth(points: list[tuple[int, float]], share: float = 0.25) -> list[tuple[int, float]]:
    """A running average: batches differ more than the model changes."""
    found, value = [], points[0][1]
    for step, new in points:
        value += share * (new - value)
        found.append((step, value))
    return found


def draw(curves: dict[str, list[tuple[int, float]]], begins: dict[int, str], path: Path) -> None:
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*smooth(curves[LEARNED]), strict=True), color="0.6", linewidth=1, label="while learning, IoU")
    for name, title in JUDGED.items():
        if name in curves:
            axes.plot(*zip(*curves[name], strict=True), marker="o", markersize=3.5, label=title)
    for step, stage in begins.items():
        axes.axvline(step, color="0.8", linewidth=0.8, linestyle=":")
        axes.annotate(stage, (step, 1.01), xycoords=("data", "axes fraction"), fontsize=7, color="0.4")
    axes.set(xlabel="steps", ylim=(0, 0.8))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(frameon=False, fontsize=8, loc="outside right center")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, in the order of time")
    parser.add_argument("--plot", type=Path, required=True, help="the picture to write")
    args = parser.parse_args()
    draw(*read_curves(args.runs), args.plot)


if __name__ == "__main__":
    main()
