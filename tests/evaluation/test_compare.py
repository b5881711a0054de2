"""Runs beside each other: intervals that hold the mean, sequences won and lost, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masklet.errors import EvaluationError
from masklet.evaluation.compare import clip_table, compare_runs, comparison_table, full_table
from masklet.evaluation.results import ClipResult, RunResult


def run_of(name: str, values: dict[str, list[float]], **settings: str) -> RunResult:
    record = {
        "settings": {"contender": name, "dataset": "d", "split": "val", "protocol": "p", **settings},
        "measures": ["J&F"],
    }
    clips = [
        ClipResult(clip, {n: {"J&F": value} for n, value in enumerate(row, 1)}, {}, 10, 2.0, 100.0, {})
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


def test_clips_that_a_run_lacks_are_left_out() -> None:
    comparison = compare_runs([run_of("a", {"x": [0.5], "y": [0.1]}), run_of("b", {"x": [0.4], "z": [0.2]})])
    assert comparison.clips == ("x",)
    assert comparison.left == ("y", "z")
    assert clip_table(comparison) == [["sequence", "a", "b"], ["x", 0.5, 0.4]]
    assert comparison_table(comparison)[2][:2] == ["b", "40.0 (40.0 to 40.0)"]
    assert [row[-1] for row in full_table(comparison)] == ["MiB", "100", "100"]


def test_runs_of_one_contender_are_called_by_their_folders() -> None:
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
