"""Plots of runs, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from masklet.atomic import atomic_write
from masklet.errors import EvaluationError
from masklet.evaluation.report.numbers import is_count
from masklet.evaluation.results import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 60
"""Clips that are named along the axis; of more the values are shown in order, without names."""

COLOURS = ("#2563a8", "#d9822b", "#3a9a5b", "#8a4fa3", "#7f7f7f", "#c0392b")
"""Of runs, in their order; used again after the sixth."""


def plot_runs(runs: Sequence[RunResult], names: Sequence[str], clips: Sequence[str], path: Path) -> None:
    """The main measure of these clips by these runs, as a PNG; clips in the order of the first run's values.

    Raises EvaluationError if matplotlib is missing, FormatError if the file cannot be written.
    """
    measure = runs[0].measures[0]
    factor = 1 if is_count(measure) else 100
    values = np.array([[factor * _by_name(run)[clip] for clip in clips] for run in runs])
    order = np.argsort(values[0], kind="stable")
    named = len(clips) <= MOST_NAMED
    figure, axes = _figure(len(clips) if named else 0)
    for row, (name, run) in enumerate(zip(names, runs, strict=True)):
        mean = factor * run.overall[measure]
        colour = COLOURS[row % len(COLOURS)]
        axes.axvline(mean, color=colour, linewidth=1, linestyle=":")
        places = np.arange(len(clips)) if named else np.linspace(0, 1, len(clips))
        ours = values[row][order] if named else np.sort(values[row])
        label = f"{name}: {mean:.1f}"
        if named:
            axes.plot(ours, places, "o", color=colour, markersize=6, label=label)
        else:
            axes.plot(ours, places, color=colour, linewidth=2, label=label)
    _label(axes, [clips[place] for place in order] if named else [], measure, factor)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _figure(rows: int) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EvaluationError('plots need matplotlib; install it with: pip install "masklet[eval]"') from error
    figure = Figure(figsize=(8, 1.4 + 0.24 * rows if rows else 4.5), layout="constrained")
    return figure, figure.add_subplot()


def _label(axes: Axes, clips: Sequence[str], measure: str, factor: int) -> None:
    if clips:
        axes.set_yticks(range(len(clips)), clips, fontsize=8)
        axes.grid(axis="y", linewidth=0.3)
    else:
        axes.set_ylabel("share of sequences below")
    axes.set_xlabel(measure if factor == 1 else f"{measure} (%)")
    if factor == 100:
        axes.set_xlim(min(0.0, axes.get_xlim()[0]), max(100.0, axes.get_xlim()[1]))
    axes.grid(axis="x", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)


def _by_name(run: RunResult) -> dict[str, float]:
    return {clip.name: clip.mean(run.measures[0]) for clip in run.clips}
