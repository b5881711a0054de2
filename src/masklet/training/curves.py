"""Learning curves of training runs, one after another: what was answered while learning, and what validation said."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from masklet.atomic import atomic_write
from masklet.errors import TrainingError

SHORT = 10
"""Stages of fewer steps are left out where there are longer ones: they only pass by."""

LEARNED = "iou"
"""Mean IoU of the answers while learning, of all prompts and corrections."""

CURVES = {LEARNED: "while learning, IoU", "box": "a box", "click": "one click", "video": "video, J&F"}
"""Figures of a log that are drawn, and what they are called."""

Points = list[tuple[int, float]]


def plot_training(runs: Sequence[Path], out: Path) -> int:
    """Draw the learning curves of runs, steps of all runs and stages counted on; a dotted line is where a
    stage begins.

    Args:
        runs: Their folders, in the order of time.
        out: The picture; its ending is that of a format of matplotlib, such as .png or .svg.

    Returns:
        The steps that are drawn.

    Raises:
        TrainingError: A log is missing or damaged, none holds a figure, or matplotlib is missing.
        FormatError: The picture cannot be written.
    """
    curves, begins, steps = read_curves(runs)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TrainingError('plots need matplotlib; install it with: pip install "masklet[eval]"') from error
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    kinds = figure.canvas.get_supported_filetypes()
    if out.suffix.removeprefix(".").lower() not in kinds:
        raise TrainingError(f"{out.name} is no picture that is drawn; give one of .{', .'.join(sorted(kinds))}")
    axes = figure.add_subplot()
    for name, title in CURVES.items():
        if name == LEARNED and name in curves:
            axes.plot(*zip(*smooth(curves[name]), strict=True), color="0.6", linewidth=1, label=title)
        elif name in curves:
            axes.plot(*zip(*curves[name], strict=True), marker="o", markersize=3.5, label=title)
    for step, stage in begins.items():
        axes.axvline(step, color="0.8", linewidth=0.8, linestyle=":")
        axes.annotate(stage, (step, 1.01), xycoords=("data", "axes fraction"), fontsize=7, color="0.4")
    axes.set(xlabel="steps", ylim=(0, max(0.8, *(value for points in curves.values() for _, value in points))))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(frameon=False, fontsize=8, loc="outside right center")
    with atomic_write(out) as temporary:
        figure.savefig(temporary, dpi=150, format=out.suffix.removeprefix("."))
    return steps


def read_curves(runs: Sequence[Path]) -> tuple[dict[str, Points], dict[int, str], int]:
    """-> (figure -> (step, value); first step -> stage; steps). Raises TrainingError as `plot_training`."""
    curves: dict[str, Points] = defaultdict(list)
    begins: dict[int, str] = {}
    done = 0
    found = stages(runs)
    longer = [records for records in found if records[-1]["step"] >= SHORT] or found
    for records in longer:
        begins[done] = records[0]["stage"]
        for record in records:
            for name in CURVES:
                if isinstance(value := record.get(name), float | int) and isfinite(value):
                    curves[name].append((done + record["step"], float(value)))
        done += records[-1]["step"]
    if not curves:
        raise TrainingError(f"the log of {runs[0]} holds no figure yet; let the training run longer")
    return curves, begins, done


def stages(runs: Sequence[Path]) -> list[list[dict[str, Any]]]:
    """The records of each stage of each run."""
    found: list[list[dict[str, Any]]] = []
    for record in (record for run in runs for record in _records(run)):
        before = found[-1][-1] if found else None
        if before is None or record["stage"] != before["stage"] or record["step"] < before["step"]:
            found.append([])
        found[-1].append(record)
    return found


def _records(run: Path) -> list[dict[str, Any]]:
    try:
        lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{run} holds no log.jsonl of a training that can be read: {error}") from error
    records = []
    for count, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if not isinstance(record["stage"], str) or not isinstance(record["step"], int):
                raise TypeError(line)
        except (ValueError, TypeError, LookupError) as error:
            if count == len(lines):
                break  # a line that a killed training did not finish
            raise TrainingError(
                f"line {count} of {run / 'log.jsonl'} is no record of a step; is it damaged?"
            ) from error
        records.append(record)
    return records


def smooth(points: Points, share: float = 0.25) -> Points:
    """A running average: batches differ more than the model changes."""
    found, value = [], points[0][1]
    for step, new in points:
        value += share * (new - value)
        found.append((step, value))
    return found
