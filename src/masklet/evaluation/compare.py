"""Several runs beside each other, over the clips that all of them have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import make_folder, write_whole
from masklet.errors import EvaluationError
from masklet.evaluation.report import as_markdown, plot_runs, write_csv
from masklet.evaluation.results import RunResult, rises, shown

DRAWS = 10_000
"""Times that clips are drawn anew."""

LEVEL = 0.95
"""Share of the draws that an interval holds."""

ALIKE = 0.001
"""Values of a clip that lie no farther apart count as a tie: 0.1 percent, or a thousandth of a count."""

FEW = 5
"""An interval of fewer clips says little."""


@dataclass(frozen=True)
class Interval:
    """A mean, and the ends between which 95 % of the draws lie."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """One run beside the first."""

    name: str  # of the run
    run: RunResult  # with the clips alone that all runs have
    value: Interval  # of the main measure
    difference: Interval | None  # from the first run; None for the first run itself
    wins: int  # clips that it did better than the first run
    ties: int  # alike
    losses: int  # worse


@dataclass(frozen=True)
class Comparison:
    """Runs, the first of which the others are held against."""

    measure: str  # the main one
    runs: tuple[Compared, ...]
    clips: tuple[str, ...]  # that all runs have scored; nothing else counts
    left: tuple[str, ...]  # clips that some run lacks


def compare_runs(runs: Sequence[RunResult], seed: int = 0) -> Comparison:
    """Means over objects with intervals from drawing clips with replacement, the same clips for all runs of a draw.

    Raises EvaluationError for runs of different data sets or protocols, and for runs without a clip in common.

    Source: Efron, "Bootstrap Methods", Annals of Statistics 1979; percentiles, clips as the units.
    """
    _check_alike(runs)
    measure, names = runs[0].measures[0], run_names(runs)
    scored = [[clip.name for clip in run.scored] for run in runs]
    shared = [name for name in scored[0] if all(name in others for others in scored)]
    if not shared:
        raise EvaluationError("the runs have no sequence in common; give runs of the same data set")
    runs = [replace(run, clips=tuple(clip for clip in run.clips if clip.name in shared)) for run in runs]
    tables = [{clip.name: [row[measure] for row in clip.values.values()] for clip in run.clips} for run in runs]
    sums = np.array([[sum(table[name]) for name in shared] for table in tables])
    counts = np.array([[len(table[name]) for name in shared] for table in tables], float)
    draws = np.random.default_rng(seed).integers(0, len(shared), (DRAWS, len(shared)))
    drawn = sums[:, draws].sum(axis=2) / counts[:, draws].sum(axis=2)
    means = sums.sum(axis=1) / counts.sum(axis=1)
    first, compared = sums[0] / counts[0], []
    for place, run in enumerate(runs):
        better = (sums[place] / counts[place] - first) * (1 if rises(measure) else -1)
        compared.append(
            Compared(
                names[place],
                run,
                _interval(means[place], drawn[place]),
                _interval(means[place] - means[0], drawn[place] - drawn[0]) if place else None,
                wins=int((better > ALIKE).sum()),
                ties=int((abs(better) <= ALIKE).sum()),
                losses=int((better < -ALIKE).sum()),
            )
        )
    left = {name for names in scored for name in names} - set(shared)
    return Comparison(measure, tuple(compared), tuple(shared), tuple(sorted(left)))


def run_names(runs: Sequence[RunResult]) -> list[str]:
    """The names of the measured methods; the folders' names if two are alike."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [run.folder.name for run in runs]


def cautions(comparison: Comparison) -> list[str]:
    """Remarks for readers of the numbers."""
    found = []
    if comparison.left:
        sequences = "1 sequence is" if len(comparison.left) == 1 else f"{len(comparison.left)} sequences are"
        found.append(f"{sequences} left out, which not all runs have.")
    if (count := len(comparison.clips)) < FEW:
        sequences = "1 sequence" if count == 1 else f"{count} sequences"
        found.append(f"The intervals rest on {sequences}: of fewer than {FEW} they say little.")
    return found


def comparison_table(comparison: Comparison) -> list[list[str]]:
    """For a terminal: a heading, and a row for each run; of the measures the main one."""
    measure = comparison.measure
    rows = [["", measure, "95%", "difference", "95%", "won/lost", "frames/s"]]
    for item in comparison.runs:
        beside = ["", "", ""]
        if (against := item.difference) is not None:
            sign = "+" if against.mean >= 0 else ""
            beside = [sign + shown(measure, against.mean), _ends(measure, against), f"{item.wins}/{item.losses}"]
        own = [shown(measure, item.value.mean), _ends(measure, item.value)]
        rows.append([item.name, *own, *beside, f"{item.run.speed:.1f}"])
    return rows


def full_table(comparison: Comparison) -> list[list[str]]:
    """The same with all measures, and with the memory that each run took."""
    further = [name for name in comparison.runs[0].run.measures if name != comparison.measure]
    heading, *rows = comparison_table(comparison)
    for row, item in zip(rows, comparison.runs, strict=True):
        overall, memory = item.run.overall, item.run.memory
        row += [*(shown(name, overall[name]) for name in further), "-" if memory is None else f"{memory:.0f}"]
    return [[*heading, *further, "MiB"], *rows]


def clip_table(comparison: Comparison) -> list[list[object]]:
    """A heading, and a row for each clip with the main measure of every run."""
    columns = [{clip.name: clip.mean(comparison.measure) for clip in item.run.clips} for item in comparison.runs]
    rows: list[list[object]] = [[name, *(column[name] for column in columns)] for name in comparison.clips]
    return [["sequence", *(item.name for item in comparison.runs)], *rows]


def write_comparison(comparison: Comparison, title: str, out: Path) -> None:
    """compare.md, compare.csv with the main measure of each clip by each run, and a plot."""
    make_folder(out)
    lines = [f"{title}. Shares in percent.", "", *as_markdown(full_table(comparison)), "", *cautions(comparison)]
    write_whole(out / "compare.md", "\n".join([*lines, ""]))
    write_csv(out / "compare.csv", clip_table(comparison))
    names = [item.name for item in comparison.runs]
    plot_runs([item.run for item in comparison.runs], names, comparison.clips, out / "compare.png")


def _check_alike(runs: Sequence[RunResult]) -> None:
    if len(runs) < 2:
        raise EvaluationError(f"{len(runs)} run was given; give two or more folders of runs")
    for key in ("dataset", "split", "protocol"):
        found = {str(run.record["settings"][key]) for run in runs}
        if len(found) > 1:
            raise EvaluationError(f"the runs differ in their {key}: {', '.join(sorted(found))}; give runs of one {key}")
    if len({run.measures[0] for run in runs}) > 1:
        raise EvaluationError("the runs have different main measures; give runs with the same number of clicks")


def _interval(mean: float, draws: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(mean), float(low), float(high))


def _ends(measure: str, interval: Interval) -> str:
    return f"{shown(measure, interval.low)} to {shown(measure, interval.high)}"
