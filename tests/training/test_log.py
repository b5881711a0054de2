"""The log of a run: what a line tells, what the pace counts, and which lines stay when a run goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from masklet.training.log import LOG, open_log, rewind


def steps(folder: Path) -> list[tuple[str, int]]:
    read = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [(line["stage"], line["step"]) for line in read]


def test_the_pace_tells_memory_and_leaves_out_what_is_done_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("resource", reason="only Unix tells how much memory a process has taken")
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with open_log(tmp_path, tensorboard=False, leads=False) as log:
        log.begin("clips", 0, 10)
        clock[0] += 2
        log.advance(8)
        with log.aside():
            clock[0] += 1000
        pace = log.pace()
        clock[0] += 1
        log.advance(5)
        assert log.pace()["samples_per_second"] == pytest.approx(5)
    assert pace["samples_per_second"] == pytest.approx(4)
    assert 20 < pace["memory_mib"] < 1e6


@pytest.mark.parametrize(
    ("done", "kept"),
    [
        ({}, []),
        ({"clips": 2}, [("clips", 1), ("clips", 2)]),
        ({"clips": 3, "long": 1}, [("clips", 1), ("clips", 2), ("clips", 3), ("long", 1)]),
    ],
)
def test_steps_that_are_done_again_leave_the_log(
    tmp_path: Path, done: dict[str, int], kept: list[tuple[str, int]]
) -> None:
    written = [("clips", 1), ("clips", 2), ("clips", 3), ("long", 1), ("long", 2)]
    text = "".join(json.dumps({"stage": stage, "step": step, "loss": 1.0}) + "\n" for stage, step in written)
    (tmp_path / LOG).write_text(text + '{"stage": "long", "ste')  # killed while it wrote
    rewind(tmp_path, done)
    assert steps(tmp_path) == kept


def test_a_run_without_a_log(tmp_path: Path) -> None:
    rewind(tmp_path, {})
    assert not list(tmp_path.iterdir())
