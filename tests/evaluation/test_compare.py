"""Runs beside each other: intervals that hold the mean, sequences won and lost, and what cannot be compared."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from masklet.cli.terminal import as_table
from masklet.errors import EvaluationError
from masklet.evaluation.report import (
    as_markdown,
    cautions,
    clip_table,
    compare_runs,
    comparison_table,
    full_table,
    plot_runs,
    write_comparison,
)
from masklet.evaluation.run import ClipResult, RunResult


def run_of(name: str, values: dict[str, list[float]], **settings: str) -> RunResult:
    record = {
        "settings": {"method": name, "dataset": "d", "split": "val", "protocol": "p", **settings},
        "measures": ["J&F"],
    }
    clips = [
        ClipResult(clip, {n: {"J&F": value} for n, value in enumerate(row, 1)}, {}, 10, 2.0, memory=100.0)
        for clip, row in values.items()
    ]
    return RunResult(Path(name), record, tuple(clips))


RANDOM = np.random.default_rng(0)
FIRST = {f"clip{n}": [float(value)] for n, value in enumerate(RANDOM.random(30))}


def test_a_run_that_is_better_everywhere_wins_everywhere() -> None:
    better = {name: [row[0] + 0.05] for name, row in FIRST.items()}
    first, second = compare_runs([run_of("a", FIRST), run_of("b", better)]).runs
    assert (second.wins, second.ties, second.losses) == (30, 0, 0)
    assert second.difference is not None
    assert second.difference.mean == pytest.approx(0.05)
    assert second.difference.low == pytest.approx(second.difference.high)  # the clips are drawn alike for both
    assert first.value.low < first.value.mean < first.value.high
    assert first.value.mean == pytest.approx(np.mean(list(FIRST.values())))


def test_an_interval_is_about_two_standard_errors_wide() -> None:
    value = compare_runs([run_of("a", FIRST), run_of("b", FIRST)]).runs[0].value
    error = np.std(list(FIRST.values())) / np.sqrt(len(FIRST))
    assert (value.high - value.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_clips_with_more_objects_weigh_more() -> None:
    runs = [run_of(name, {"a": [1.0, 1.0, 1.0], "b": [0.0]}) for name in ("x", "y")]
    assert compare_runs(runs).runs[0].value.mean == 0.75


def test_fewer_clicks_win() -> None:
    runs = [run_of("a", {"x": [3.0]}), run_of("b", {"x": [2.0]})]
    for run in runs:
        run.record["measures"][0] = "NoC@85"
        for clip in run.clips:
            clip.values[1]["NoC@85"] = clip.values[1]["J&F"]  # type: ignore[index]
    assert compare_runs(runs).runs[1].wins == 1


def test_like_is_compared_with_like(tmp_path: Path) -> None:
    """Of runs of different sequences every column, the speed, the memory and the plot count the common ones alone."""
    ours = run_of("a", {"x": [0.5], "y": [0.1], "z": [0.9]})
    theirs = run_of("b", {"x": [0.4], "w": [0.2]})
    ours.record["measures"].append("J")
    theirs.record["measures"].append("J")
    for run in (ours, theirs):
        for clip in run.clips:
            clip.values[1]["J"] = clip.values[1]["J&F"] / 2  # type: ignore[index]
    slow = replace(theirs.clips[1], seconds=1000.0, memory=9999.0)
    theirs = replace(theirs, clips=(theirs.clips[0], slow))
    comparison = compare_runs([ours, theirs])
    assert comparison.clips == ("x",)
    assert comparison.left == ("w", "y", "z")
    assert clip_table(comparison) == [["sequence", "a", "b"], ["x", 0.5, 0.4]]
    assert full_table(comparison) == [
        ["", "J&F", "95%", "difference", "95%", "won/lost", "frames/s", "J", "MiB"],
        ["a", "50.0", "50.0 to 50.0", "", "", "", "5.0", "25.0", "100"],
        ["b", "40.0", "40.0 to 40.0", "-10.0", "-10.0 to -10.0", "0/1", "5.0", "20.0", "100"],
    ]
    assert [item.run.overall["J&F"] for item in comparison.runs] == [0.5, 0.4]  # what the plot names
    assert cautions(comparison) == [
        "3 sequences are left out, which not all runs have.",
        "The intervals rest on 1 sequence: of fewer than 5 they say little.",
    ]
    plot_runs([item.run for item in comparison.runs], ["a", "b"], comparison.clips, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_five_sequences_need_no_warning() -> None:
    some = {name: FIRST[name] for name in list(FIRST)[:5]}
    assert cautions(compare_runs([run_of("a", some), run_of("b", FIRST)])) == [
        "25 sequences are left out, which not all runs have."
    ]


def test_tables_fit_eighty_columns() -> None:
    """With long names, and the widest values; nothing is cut away."""
    far = {name: [0.0 if place % 2 else 1.0] for place, name in enumerate(FIRST)}
    runs = [run_of("sam2.1-base-plus, policy quality", FIRST), run_of("nano:balanced, fill_holes 0", far)]
    rows = comparison_table(compare_runs(runs))
    measures = ["J&F", *(f"J&F@{turn}" for turn in range(1, 9)), "clicks"]
    per_round = [["sequence", *measures, "frames/s"], ["breakdance-flare", *["100.0"] * 10, "1234.5"]]
    for table in (rows, per_round):
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(as_table("title", table))
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        assert all(value in text for row in table[1:] for value in row[1:])


def test_names_that_are_code_elsewhere_are_names(tmp_path: Path) -> None:
    """Of Markdown's tables, and of matplotlib's formulas."""
    runs = [run_of(name, {r"a|b": [0.5], r"$\no$": [0.2]}) for name in (r"$\no$", "b")]
    write_comparison(compare_runs(runs), "title", tmp_path)
    assert r"| $\no$ |" in (tmp_path / "compare.md").read_text()
    assert as_markdown([["sequence", "J"], ["a|b", "1.0"]])[-1] == r"| a\|b | 1.0 |"
    assert (tmp_path / "compare.png").stat().st_size > 1000


def test_runs_of_one_method_are_called_by_their_folders() -> None:
    runs = [run_of("a", FIRST), run_of("a", FIRST)]
    runs[1] = RunResult(Path("runs/second"), runs[1].record, runs[1].clips)
    assert [item.name for item in compare_runs(runs).runs] == ["a", "second"]


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(EvaluationError, match="1 run was given"):
        compare_runs([run_of("a", FIRST)])
    with pytest.raises(EvaluationError, match="differ in their dataset: d, e"):
        compare_runs([run_of("a", FIRST), run_of("b", FIRST, dataset="e")])
    with pytest.raises(EvaluationError, match="no sequence in common"):
        compare_runs([run_of("a", {"x": [0.5]}), run_of("b", {"y": [0.5]})])
