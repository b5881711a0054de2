"""A run as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from masklet.atomic import atomic_write
from masklet.evaluation.report.numbers import shown
from masklet.evaluation.results import RunResult

MOST_ROWS = 60
"""Clips that stand in tables for people; of more only the means do, and the CSV has them all."""


def write_tables(run: RunResult, unfinished: int) -> None:
    """sequences.csv, objects.csv, summary.json and table.md. Raises FormatError if one cannot be written.

    unfinished  clips of the data set that are not done
    """
    write_csv(run.folder / "sequences.csv", sequence_rows(run))
    write_csv(run.folder / "objects.csv", object_rows(run))
    with atomic_write(run.folder / "summary.json") as path:
        path.write_text(json.dumps(summary(run, unfinished), indent=1), encoding="utf-8")
    with atomic_write(run.folder / "table.md") as path:
        path.write_text(markdown(run, unfinished), encoding="utf-8")


def sequence_rows(run: RunResult) -> list[list[object]]:
    """A heading, then a row for each clip: means over its objects, what it has as a whole, cost."""
    whole = list(dict.fromkeys(name for clip in run.clips for name in clip.whole))
    rows: list[list[object]] = [["sequence", "objects", *run.measures, *whole, "frames", "seconds", "memory MiB"]]
    rows += [
        [
            clip.name,
            len(clip.values),
            *(clip.mean(measure) for measure in run.measures),
            *(clip.whole.get(name) for name in whole),
            clip.frames,
            clip.seconds,
            clip.memory,
        ]
        for clip in run.clips
    ]
    return rows


def object_rows(run: RunResult) -> list[list[object]]:
    """A heading, then a row for each object of each clip."""
    rows: list[list[object]] = [["sequence", "object", *run.measures]]
    for clip in run.clips:
        rows += [[clip.name, number, *(row[m] for m in run.measures)] for number, row in clip.values.items()]
    return rows


def summary(run: RunResult, unfinished: int) -> dict[str, Any]:
    """Everything over the whole run, and what was measured."""
    return {
        "overall": {name: None if math.isnan(value) else value for name, value in run.overall.items()},
        "sequences": len(run.clips),
        "sequences_without_truth": len(run.clips) - len(run.scored),
        "sequences_unfinished": unfinished,
        "objects": sum(len(clip.values) for clip in run.clips),
        "frames": sum(clip.frames for clip in run.clips),
        "frames_per_second": run.speed,
        "peak_memory_mib": run.memory,
        **run.record,
    }


def table(run: RunResult) -> list[list[str]]:
    """For people: a heading, the clips if they are not too many, and the mean over all objects."""
    rows = [["sequence", *run.measures, "frames/s"]]
    for clip in run.clips if len(run.clips) <= MOST_ROWS else ():
        values = [shown(measure, clip.mean(measure)) for measure in run.measures]
        rows.append([clip.name, *values, f"{clip.frames / clip.seconds:.1f}" if clip.seconds else "-"])
    overall = [shown(measure, run.overall[measure]) for measure in run.measures]
    return [*rows, ["all", *overall, f"{run.speed:.1f}"]]


def markdown(run: RunResult, unfinished: int) -> str:
    """table.md"""
    settings = run.record["settings"]
    lines = [f"# {run.name}: {settings['protocol']} on {settings['dataset']}, {settings['split']}", ""]
    lines += [f"Shares in percent. Options: `{json.dumps(settings['options'])}`.", ""]
    lines += [*as_markdown(table(run)), ""]
    if further := [f"{name} {shown(name, value)}" for name, value in run.overall.items() if name not in run.measures]:
        lines += [", ".join(further) + ".", ""]
    lines += [f"{sentence}\n" for sentence in remarks(run, unfinished)]
    return "\n".join(lines)


def remarks(run: RunResult, unfinished: int) -> list[str]:
    """What a reader of the numbers should know."""
    said = []
    if hidden := len(run.clips) - len(run.scored):
        said.append(f"Sequences of which only the prompts' masks are known: {hidden}; hand in the folder masks.")
    if unfinished:
        said.append(f"Sequences that are not done: {unfinished}; these are numbers of a part.")
    if len(run.clips) > MOST_ROWS:
        said.append(f"The {len(run.clips)} sequences stand in sequences.csv.")
    return said


def as_markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table; the first row is its heading, and all columns but the first are numbers."""
    heading, *rest = rows
    rule = ["---", *["--:"] * (len(heading) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (heading, rule, *rest)]


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV that appears when it is whole. Raises FormatError if it cannot be written."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
