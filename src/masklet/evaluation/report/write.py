"""Everything that a run's folder holds besides its values."""

from __future__ import annotations

from pathlib import Path

from masklet.datasets.base import Dataset
from masklet.errors import EvaluationError
from masklet.evaluation.report.plot import plot_runs
from masklet.evaluation.report.tables import write_tables
from masklet.evaluation.report.worst import draw_worst
from masklet.evaluation.results import RunResult, clip_file, read_run


def write_report(folder: Path, dataset: Dataset) -> tuple[RunResult, str]:
    """Read a run, write its tables, plot and worst clips; the run, and what could not be made, or "".

    A missing matplotlib costs the plot alone. Raises EvaluationError if no clip is done, and FormatError for files that
    cannot be written.
    """
    run = read_run(folder)
    write_tables(run, unfinished(folder, dataset))
    draw_worst(run, dataset)
    if not run.scored:
        return run, ""
    try:
        plot_runs([run], [run.name], [clip.name for clip in run.scored], folder / "plot.png")
    except EvaluationError as error:
        return run, str(error)
    return run, ""


def unfinished(folder: Path, dataset: Dataset) -> int:
    """Clips of the data set that are not done."""
    return sum(not clip_file(folder, clip.name).exists() for clip in dataset.clips)
