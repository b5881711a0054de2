"""The files of a run: CSV, JSON, Markdown, a plot, tables for a terminal, and pictures of the worst clips; and several
runs beside each other, over the clips that all of them have."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, make_folder, write_whole
from masklet.datasets.base import Clip, Dataset
from masklet.errors import EvaluationError, needing
from masklet.evaluation.run import (
    ClipResult,
    RunResult,
    Submission,
    as_text,
    is_count,
    json_number,
    read_run,
    rises,
    undone,
)
from masklet.masks.draw import draw_overlay

MAX_ROWS = 60
"""Clips that stand in tables for people; of more only the means do, and the CSV has them all."""

MAX_COLUMNS = 10
"""Measures that stand in tables for people, so that they fit 80 columns."""

MAX_NAMED_CLIPS = 60
"""Clips that are named along the axis; of more the values are shown in order, without names."""

RUN_COLOURS = ("#2563a8", "#d9822b", "#3a9a5b", "#8a4fa3", "#7f7f7f", "#c0392b")
"""The colours of runs, in order; used again after the sixth."""

WORST_CLIPS = 10
"""Clips that are drawn."""

SHOWN_FRAMES = 4
"""Frames of each: three along the clip, and the worst of all."""

SHEET_FRAME_SIZE = (256, 448)
"""Largest height and width of one frame on a sheet, in pixels."""


def write_report(folder: Path, dataset: Dataset) -> tuple[RunResult, str]:
    """Read a run, write its tables, plot and worst clips; the run, and what could not be made, or "".

    A missing matplotlib costs the plot alone. Raises EvaluationError if no clip is done, and FormatError for files that
    cannot be written.
    """
    run, left = read_run(folder), len(undone(folder, dataset))
    write_csv(folder / "sequences.csv", sequence_rows(run))
    write_csv(folder / "objects.csv", object_rows(run))
    write_whole(folder / "summary.json", json.dumps(summary(run, left), indent=1))
    write_whole(folder / "table.md", markdown(run, left))
    draw_worst(run, dataset)
    missing = ""
    if run.scored:
        try:
            plot_runs([run], [run.name], [clip.name for clip in run.scored], folder / "plot.png")
        except EvaluationError as error:
            missing = str(error)
    return run, missing


def sequence_rows(run: RunResult) -> list[list[object]]:
    """A heading, then a row for each clip: means over its objects, what it has as a whole, cost."""
    of_clips = list(dict.fromkeys(name for clip in run.clips for name in clip.clip_metrics))
    rows: list[list[object]] = [["sequence", "objects", *run.measures, *of_clips, "frames", "seconds", "memory MiB"]]
    for clip in run.clips:
        values = [*map(clip.mean, run.measures), *map(clip.clip_metrics.get, of_clips)]
        rows.append([clip.name, len(clip.values), *values, clip.frames, clip.seconds, clip.memory])
    return rows


def object_rows(run: RunResult) -> list[list[object]]:
    rows: list[list[object]] = [["sequence", "object", *run.measures]]
    for clip in run.clips:
        rows += [[clip.name, number, *(row[m] for m in run.measures)] for number, row in clip.values.items()]
    return rows


def summary(run: RunResult, unfinished: int) -> dict[str, Any]:
    """Everything over the whole run, and what was measured."""
    return {
        "overall": {name: json_number(value) for name, value in run.overall.items()},
        "sequences": len(run.clips),
        "sequences_without_truth": len(run.clips) - len(run.scored),
        "sequences_unfinished": unfinished,
        "objects": sum(len(clip.values) for clip in run.clips),
        "frames": sum(clip.frames for clip in run.clips),
        "frames_per_second": json_number(run.speed),
        "peak_memory_mib": run.memory,
        **run.record,
    }


def table(run: RunResult) -> list[list[str]]:
    """For people: a heading, the clips if they are not too many, and the mean over all objects."""
    measures = run.measures[:MAX_COLUMNS]
    rows = [["sequence", *measures, "frames/s"]]
    for clip in run.clips if len(run.clips) <= MAX_ROWS else ():
        values = [as_text(measure, clip.mean(measure)) for measure in measures]
        rows.append([clip.name, *values, f"{clip.frames / clip.seconds:.1f}" if clip.seconds else "-"])
    overall = [as_text(measure, run.overall[measure]) for measure in measures]
    return [*rows, ["all", *overall, f"{run.speed:.1f}"]]


def markdown(run: RunResult, unfinished: int) -> str:
    settings = run.record["settings"]
    lines = [f"# {run.name}: {settings['protocol']} on {settings['dataset']}, {settings['split']}", ""]
    lines += [f"Shares in percent. Options: `{json.dumps(settings['options'])}`.", ""]
    lines += [*as_markdown(table(run)), ""]
    lines += [f"{sentence}\n" for sentence in remarks(run, unfinished)]
    return "\n".join(lines)


def remarks(run: RunResult, unfinished: int) -> list[str]:
    """What is no measure of an object, and remarks for readers of the numbers."""
    found = []
    if further := [f"{name} {as_text(name, value)}" for name, value in run.overall.items() if name not in run.measures]:
        found.append(", ".join(further) + ".")
    if hidden := len(run.clips) - len(run.scored):
        found.append(f"Sequences of which only the prompts' masks are known: {hidden}; hand in the folder masks.")
    if unfinished:
        found.append(f"Sequences that are not done: {unfinished}; these are numbers of a part.")
    if len(run.measures) > MAX_COLUMNS:
        found.append(f"The {len(run.measures)} measures stand in sequences.csv.")
    if len(run.clips) > MAX_ROWS:
        found.append(f"The {len(run.clips)} sequences stand in sequences.csv.")
    return found


def as_markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table; the first row is its heading, and all columns but the first are numbers."""
    heading, *rest = rows
    rule = ["---", *["--:"] * (len(heading) - 1)]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (heading, rule, *rest)]


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV that appears when it is whole. Raises FormatError if it cannot be written."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def plot_runs(runs: Sequence[RunResult], names: Sequence[str], clips: Sequence[str], path: Path) -> None:
    """The main measure of these clips by these runs, as a PNG; clips in the order of the first run's values.

    Raises EvaluationError if matplotlib is missing, FormatError if the file cannot be written.
    """
    measure = runs[0].measures[0]
    factor = 1 if is_count(measure) else 100
    means = [{clip.name: clip.mean(measure) for clip in run.clips} for run in runs]
    values = np.array([[factor * of_run[clip] for clip in clips] for of_run in means])
    order = np.argsort(values[0], kind="stable")
    named = len(clips) <= MAX_NAMED_CLIPS
    with needing("eval", "a plot", EvaluationError):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 1.4 + 0.24 * len(clips) if named else 4.5), layout="constrained")
    axes = figure.add_subplot()
    for row, (name, run) in enumerate(zip(names, runs, strict=True)):
        mean, colour = factor * run.overall[measure], RUN_COLOURS[row % len(RUN_COLOURS)]
        axes.axvline(mean, color=colour, linewidth=1, linestyle=":")
        label = f"{name}: {mean:.1f}"
        if named:
            axes.plot(values[row][order], range(len(clips)), "o", color=colour, markersize=6, label=label)
        else:
            axes.plot(np.sort(values[row]), np.linspace(0, 1, len(clips)), color=colour, linewidth=2, label=label)
    if named:
        # names are no formulas, whatever dollars they hold
        axes.set_yticks(range(len(clips)), [clips[place] for place in order], fontsize=8, parse_math=False)
        axes.grid(axis="y", linewidth=0.3)
    else:
        axes.set_ylabel("share of sequences below")
    axes.set_xlabel(measure if factor == 1 else f"{measure} (%)")
    if factor == 100:
        axes.set_xlim(min(0.0, axes.get_xlim()[0]), max(100.0, axes.get_xlim()[1]))
    axes.grid(axis="x", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    for text in figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9).get_texts():
        text.set_parse_math(False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def draw_worst(run: RunResult, dataset: Dataset) -> None:
    """worst/01-NAME.jpg ... in the run's folder: the answer tinted, the truth's outline in white, the value below.

    Earlier pictures there are removed. Raises MediaError and FormatError for frames and masks that cannot be read.
    """
    folder = run.folder / "worst"
    make_folder(folder)
    for earlier in folder.glob("*.jpg"):
        earlier.unlink()
    submission, measure = Submission(run.folder / "masks", dataset.layout), run.measures[0]
    clips = {clip.name: clip for clip in dataset.clips}
    known = [clip for clip in run.scored if clip.name in clips and clip.per_frame]
    worst_first = sorted(known, key=lambda clip: clip.mean(measure), reverse=not rises(measure))
    for place, result in enumerate(worst_first[:WORST_CLIPS], start=1):
        sheet = draw_clip(clips[result.name], result, measure, submission)
        with atomic_write(folder / f"{place:02d}-{result.name.replace('/', '-')}.jpg") as temporary:
            Image.fromarray(sheet).save(temporary, format="JPEG", quality=88)


def draw_clip(clip: Clip, result: ClipResult, measure: str, submission: Submission) -> NDArray[np.uint8]:
    """A row of frames, uint8 (H, W, 3)."""
    tiles = []
    with clip.open() as source:
        for frame in frames_to_show(result.per_frame):
            truth = clip.masks(frame)
            canvas = draw_overlay(source.read(frame).image, submission.read(clip, frame, tuple(truth)))
            for mask in truth.values():
                contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
                thick = max(1, round(min(mask.shape) / 300))
                cv2.drawContours(canvas, contours, -1, (255, 255, 255), thick, cv2.LINE_AA)
            height, width = canvas.shape[:2]
            scale = min(1.0, SHEET_FRAME_SIZE[0] / height, SHEET_FRAME_SIZE[1] / width)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            tile = np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.uint8)
            strip = np.full((20, tile.shape[1], 3), 255, np.uint8)
            words = f"{clip.stem(frame)}: {as_text(measure, result.per_frame[frame])}"
            cv2.putText(strip, words, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
            tiles.append(np.vstack([tile, strip]))
    return np.hstack(tiles)


def frames_to_show(per_frame: Mapping[int, float]) -> list[int]:
    """Three along the clip, and the worst, in order."""
    frames = sorted(per_frame)
    along = {frames[round(place)] for place in np.linspace(0, len(frames) - 1, SHOWN_FRAMES - 1)}
    return sorted(along | {min(frames, key=lambda frame: per_frame[frame])})


BOOTSTRAP_DRAWS = 10_000
"""Times that clips are drawn anew."""

CONFIDENCE_LEVEL = 0.95
"""Share of the draws that an interval holds."""

TIE_TOLERANCE = 0.001
"""Values of a clip that lie no farther apart count as a tie: 0.1 percent, or a thousandth of a count."""

MIN_CLIPS = 5
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
    measure, names = runs[0].measures[0], [run.name for run in runs]
    if len(set(names)) < len(names):  # the folders' names in place of the methods'
        names = [run.folder.name for run in runs]
    scored = [[clip.name for clip in run.scored] for run in runs]
    shared = [name for name in scored[0] if all(name in others for others in scored)]
    if not shared:
        raise EvaluationError("the runs have no sequence in common; give runs of the same data set")
    runs = [replace(run, clips=tuple(clip for clip in run.clips if clip.name in shared)) for run in runs]
    tables = [{clip.name: [row[measure] for row in clip.values.values()] for clip in run.clips} for run in runs]
    sums = np.array([[sum(table[name]) for name in shared] for table in tables])
    counts = np.array([[len(table[name]) for name in shared] for table in tables], float)
    draws = np.random.default_rng(seed).integers(0, len(shared), (BOOTSTRAP_DRAWS, len(shared)))
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
                wins=int((better > TIE_TOLERANCE).sum()),
                ties=int((abs(better) <= TIE_TOLERANCE).sum()),
                losses=int((better < -TIE_TOLERANCE).sum()),
            )
        )
    left = {name for names in scored for name in names} - set(shared)
    return Comparison(measure, tuple(compared), tuple(shared), tuple(sorted(left)))


def cautions(comparison: Comparison) -> list[str]:
    """Remarks for readers of the numbers."""
    found = []
    if comparison.left:
        sequences = "1 sequence is" if len(comparison.left) == 1 else f"{len(comparison.left)} sequences are"
        found.append(f"{sequences} left out, which not all runs have.")
    if (count := len(comparison.clips)) < MIN_CLIPS:
        sequences = "1 sequence" if count == 1 else f"{count} sequences"
        found.append(f"The intervals rest on {sequences}: of fewer than {MIN_CLIPS} they say little.")
    return found


def comparison_table(comparison: Comparison) -> list[list[str]]:
    """For a terminal: a heading, and a row for each run; of the measures the main one."""
    measure = comparison.measure
    rows = [["", measure, "95%", "difference", "95%", "won/lost", "frames/s"]]
    for item in comparison.runs:
        beside = ["", "", ""]
        if (against := item.difference) is not None:
            sign = "+" if against.mean >= 0 else ""
            beside = [sign + as_text(measure, against.mean), _ends(measure, against), f"{item.wins}/{item.losses}"]
        own = [as_text(measure, item.value.mean), _ends(measure, item.value)]
        rows.append([item.name, *own, *beside, f"{item.run.speed:.1f}"])
    return rows


def full_table(comparison: Comparison) -> list[list[str]]:
    """The same with all measures, and with the memory that each run took."""
    further = [name for name in comparison.runs[0].run.measures if name != comparison.measure]
    heading, *rows = comparison_table(comparison)
    for row, item in zip(rows, comparison.runs, strict=True):
        overall, memory = item.run.overall, item.run.memory
        row += [*(as_text(name, overall[name]) for name in further), "-" if memory is None else f"{memory:.0f}"]
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
    low, high = np.quantile(draws, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
    return Interval(float(mean), float(low), float(high))


def _ends(measure: str, interval: Interval) -> str:
    return f"{as_text(measure, interval.low)} to {as_text(measure, interval.high)}"
